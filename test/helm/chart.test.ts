import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/platform/config/config.ts';
import { SETTING_VARIABLES } from '../../src/platform/config/settings.ts';
import { CHART, helm, podsOf, render, VALUES, variablesOf, type Manifest } from './chart.ts';
import { typeProblems } from './kubernetes-types.ts';

const SMALLEST = path.join(CHART, 'ci/smallest.yaml');
/** Variables that the chart takes from named secrets. */
const SECRETS = ['READAPT_SECRET_KEY', 'READAPT_APPROVAL_SECRET', 'READAPT_HUB_TOKEN', 'READAPT_ADAPTER_HUB_TOKEN'];
const EVERYTHING = path.join(CHART, 'ci/everything.yaml');

const ofKind = (manifests: readonly Manifest[], kind: string) => manifests.filter((manifest) => manifest.kind === kind);
const namesOf = (all: readonly { readonly name: string }[] = []) => all.map(({ name }) => name);
const includes = (labels: Record<string, string>, wanted: Record<string, string>) =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value);

describe.each(VALUES)('the chart with %s', (values) => {
  const manifests = render(values);

  test('passes the strict checks of helm lint', () => {
    const { status, stdout } = helm('lint', '--strict', CHART, '--values', values);
    expect(status, stdout).toBe(0);
  });

  test('is what the types of Kubernetes ask for', () => {
    expect(typeProblems(manifests)).toEqual([]);
  });

  test('sets variables that Readapt knows, to values that it takes', () => {
    const unknown = variablesOf(manifests).filter((name) => !SETTING_VARIABLES.includes(name));
    expect(unknown).toEqual([]);
    for (const { spec } of podsOf(manifests)) {
      for (const { env } of spec.containers as { env: { name: string; value?: string }[] }[]) {
        expect(() => loadConfig(Object.fromEntries(env.map(({ name, value }) => [name, value])))).not.toThrow();
        expect(new Set(env.map(({ name }) => name)).size).toBe(env.length);
      }
    }
  });

  test('runs no container as root, and none that writes its own files', () => {
    for (const { name, spec } of podsOf(manifests)) {
      expect(spec, name).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
      });
      for (const container of spec.containers) {
        expect(container.securityContext, name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.limits?.memory, name).toBeTruthy();
      }
    }
  });

  test('selects what it means: each service, budget and policy has pods, and each port a name that these have', () => {
    const pods = podsOf(manifests);
    const selecting = ['Service', 'PodDisruptionBudget', 'NetworkPolicy'].flatMap((kind) => ofKind(manifests, kind));
    for (const { kind, metadata, spec } of selecting) {
      const selector = spec.selector?.matchLabels ?? spec.podSelector?.matchLabels ?? spec.selector;
      const found = pods.filter(({ labels }) => includes(labels, selector));
      const isOfHook = metadata.name.endsWith('-migrate') && values.includes('one-node');
      expect(found.length > 0, `${kind} ${metadata.name}`).toBe(!isOfHook);
      const ports = found
        .flatMap((pod) => pod.spec.containers[0].ports ?? [])
        .map((port: { name: string }) => port.name);
      if (kind === 'Service') for (const { targetPort } of spec.ports) expect(ports).toContain(targetPort);
    }
  });

  test('mounts volumes that its pods have', () => {
    for (const { name, spec } of podsOf(manifests)) {
      const volumes = spec.volumes.map((volume: { name: string }) => volume.name);
      for (const { name: mounted } of spec.containers[0].volumeMounts) expect(volumes, name).toContain(mounted);
    }
  });
});

describe('the chart', () => {
  test('takes the alert rules from the file that is tested', async () => {
    const [rule] = ofKind(render(EVERYTHING), 'PrometheusRule');
    expect(rule?.spec).toEqual(parse(await readFile(path.join(CHART, 'files/rules.yaml'), 'utf8')));
  });

  test('lets Prometheus scrape APIs and workers', () => {
    const manifests = render(EVERYTHING);
    const [monitor] = ofKind(manifests, 'ServiceMonitor');
    const services = ofKind(manifests, 'Service').filter(({ metadata }) =>
      includes(metadata.labels ?? {}, monitor!.spec.selector.matchLabels),
    );
    const ports = services.flatMap(({ spec }) => spec.ports.map(({ name }: { name: string }) => name));
    expect(monitor!.spec.endpoints.map(({ port }: { port: string }) => port).sort()).toEqual(ports.sort());
  });

  test('keeps secrets, and URLs with passwords, in secrets', () => {
    for (const { spec } of podsOf(render(EVERYTHING))) {
      for (const { name, value, valueFrom } of spec.containers[0].env) {
        if (!name.endsWith('_URL') && !SECRETS.includes(name)) continue;
        expect(value).toBeUndefined();
        expect(valueFrom.secretKeyRef.name).toBe('readapt');
      }
    }
  });

  test('gives workers what they read private models with', () => {
    const workers = podsOf(render(EVERYTHING)).filter(({ labels }) => 'readapt/worker' in labels);
    expect(workers).toHaveLength(2);
    for (const { spec } of workers) {
      const names = spec.containers[0].env.map(({ name }: { name: string }) => name);
      expect(names).toEqual(expect.arrayContaining(['READAPT_SECRET_KEY', 'READAPT_HUB_TOKEN']));
      expect(names).not.toContain('READAPT_APPROVAL_SECRET');
    }
  });

  test('needs no volume of base models', () => {
    for (const [values, has] of [
      [SMALLEST, false],
      [EVERYTHING, true],
    ] as const) {
      const manifests = render(values);
      const running = podsOf(manifests).filter(({ spec }) => namesOf(spec.volumes).includes('base-cache'));
      expect(running.length).toBeGreaterThan(1);
      for (const { spec } of running) expect(namesOf(spec.volumes).includes('models')).toBe(has);
      expect(variablesOf(manifests).includes('READAPT_ALLOWED_ROOTS')).toBe(has);
    }
  });

  test('caches base models on the volume that is named', () => {
    const cacheOf = (values: string) =>
      podsOf(render(values))
        .find(({ labels }) => 'readapt/worker' in labels)!
        .spec.volumes.find(({ name }: { name: string }) => name === 'base-cache');
    expect(cacheOf(SMALLEST)).toEqual({ name: 'base-cache', emptyDir: {} });
    expect(cacheOf(EVERYTHING)).toEqual({ name: 'base-cache', hostPath: { path: '/mnt/bases' } });
  });

  test('migrates before APIs and workers of a new version start', () => {
    const [job] = ofKind(render(SMALLEST), 'Job');
    expect(job!.metadata).toMatchObject({ annotations: { 'helm.sh/hook': 'pre-install,pre-upgrade' } });
    expect(job!.spec.template.spec.containers[0].command).toEqual(['node', 'bin/readapt.js', 'migrate']);
  });

  test.each([
    ['a setting that Readapt does not have', 'settings.READAPT_EVENT_DAYS=3', /READAPT_EVENT_DAYS/],
    ['a setting that the chart sets itself', 'settings.READAPT_DATA_DIR=/x', /READAPT_DATA_DIR/],
    ['a secret among the settings', 'settings.READAPT_HUB_TOKEN=hf_x', /READAPT_HUB_TOKEN/],
    ['a database without a secret', 'database.existingSecret=', /database\/existingSecret/],
    ['a misspelt value', 'api.replica=3', /replica/],
  ])('refuses %s', (_what, value, words) => {
    expect(() => render(SMALLEST, '--set', value)).toThrow(words);
  });

  test('offers every setting that it does not set itself', async () => {
    const schema = JSON.parse(await readFile(path.join(CHART, 'values.schema.json'), 'utf8'));
    const own = [...variablesOf(render(SMALLEST, '--set', 'models.existingClaim=base-models')), ...SECRETS];
    const offered = Object.keys(schema.properties.settings.properties);
    expect(offered.sort()).toEqual(SETTING_VARIABLES.filter((name) => !own.includes(name)).sort());
  });

  test('is of this version of Readapt', async () => {
    const { appVersion } = parse(await readFile(path.join(CHART, 'Chart.yaml'), 'utf8'));
    expect(appVersion).toBe(JSON.parse(await readFile('package.json', 'utf8')).version);
  });
});

test('the compose file sets variables that Readapt knows', async () => {
  const { services } = parse(await readFile('docker-compose.yml', 'utf8'), { merge: true }) as {
    services: Record<string, { build?: unknown; environment: Record<string, string> }>;
  };
  const own = Object.values(services).filter(({ build }) => build !== undefined);
  expect(own).toHaveLength(3);
  for (const name of own.flatMap(({ environment }) => Object.keys(environment)))
    expect(SETTING_VARIABLES).toContain(name);
});

test('problems with types are found', () => {
  const [deployment] = ofKind(render(SMALLEST), 'Deployment');
  const broken = structuredClone(deployment!);
  broken.spec.template.spec.containers[0].readinesProbe = {};
  broken.spec.replicas = 'two';
  expect(typeProblems([broken]).join('\n')).toMatch(/readinesProbe|replicas/);
});
