import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { sourceUri } from '../../../../cli/kubernetes/dynamo-models.ts';
import { exportFiles, type ExportPlan } from '../../../../cli/kubernetes/export-files.ts';
import { jsonBytes, MAX_OBJECT_BYTES, toYaml, type Manifest } from '../../../../cli/kubernetes/manifest.ts';
import { isObjectName } from '../../../../cli/kubernetes/object-names.ts';
import type { Pool } from '../../../../cli/kubernetes/pools.ts';
import { fleet, pool, version } from './served.ts';

const ROUTING = { name: 'readapt', gateway: 'gateway', hostnames: [], rewrites: true } as const;
const BY_ADAPTER: ExportPlan = { ...ROUTING, format: 'gateway-api', modelHeader: 'X-Gateway-Model-Name' };
const BY_BASE: ExportPlan = { ...ROUTING, format: 'llm-d', configMaps: 4 };
const DYNAMO: ExportPlan = {
  name: 'readapt',
  format: 'dynamo',
  sourceUri: sourceUri('s3://adapters/{base_model_version_id}/{name}'),
};

/** Files that were exported last for each plan: those of a large fleet take a second. */
const written = new Map<ExportPlan, { pools: readonly Pool[]; files: ReturnType<typeof exportFiles> }>();

/** Exports files, unless the last ones of the plan were of the same pools. */
function filesOf(plan: ExportPlan, pools: readonly Pool[]): ReturnType<typeof exportFiles> {
  const last = written.get(plan);
  if (last !== undefined && areSame(last.pools, pools)) return last.files;
  const files = exportFiles(plan, pools);
  written.set(plan, { pools, files });
  return files;
}

const areSame = (a: readonly Pool[], b: readonly Pool[]): boolean =>
  a.length === b.length && a.every((pool, index) => pool === b[index]);

const objects = (plan: ExportPlan, pools: readonly Pool[], kind: string): Manifest[] =>
  filesOf(plan, pools).flatMap(({ manifests }) => manifests.filter((manifest) => manifest.kind === kind));
const textOf = (plan: ExportPlan, pools: readonly Pool[]): string =>
  exportFiles(plan, pools)
    .map(({ name, manifests }) => `# ${name}\n${toYaml(manifests)}`)
    .join('');

interface Match {
  readonly headers?: readonly { readonly name: string; readonly value: string }[];
  readonly path?: object;
}
interface Rule {
  readonly matches: readonly Match[];
  readonly backendRefs: readonly [{ readonly name: string }];
}
const rulesOf = (route: Manifest): readonly Rule[] => (route.spec as { rules: readonly Rule[] }).rules;

/** Finds the pool to which routes send a request with these headers: a matching header decides, else the path. */
function poolOf(routes: readonly Manifest[], headers: Readonly<Record<string, string>>): string {
  const rules = routes.flatMap(rulesOf);
  const matching = (match: Match) => match.headers?.every(({ name, value }) => headers[name] === value) ?? false;
  const rule =
    rules.find(({ matches }) => matches.some(matching)) ?? rules.find(({ matches }) => matches.some((m) => m.path));
  return rule!.backendRefs[0].name;
}

/** Reads ConfigMaps as payload processors do, into the base of each adapter. */
function basesOf(maps: readonly Manifest[]): Map<string, string> {
  const entries = maps.flatMap(({ data }) =>
    (parseAllDocuments(data!.adapters!)[0]!.toJS() as string[]).map((alias) => [alias, data!.baseModel!] as const),
  );
  expect(new Set(entries.map(([alias]) => alias)).size).toBe(entries.length);
  return new Map(entries);
}

/** Checks the limits beyond which an API server rejects objects. */
function requireLimits(plan: ExportPlan, pools: readonly Pool[]): void {
  const manifests = filesOf(plan, pools).flatMap((file) => file.manifests);
  const keys = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  expect(new Set(keys).size).toBe(keys.length);
  for (const manifest of manifests) {
    expect(isObjectName(manifest.metadata.name), manifest.metadata.name).toBe(true);
    expect(jsonBytes(manifest)).toBeLessThanOrEqual(MAX_OBJECT_BYTES);
    if (manifest.kind !== 'HTTPRoute') continue;
    const matches = rulesOf(manifest).map((rule) => rule.matches.length);
    expect(matches.length).toBeLessThanOrEqual(16);
    expect(Math.max(...matches)).toBeLessThanOrEqual(64);
    expect(matches.reduce((sum, each) => sum + each)).toBeLessThanOrEqual(128);
  }
}

const OLD = pool('1', { support: 1, sales: 1 });
const NEW = pool('2', { support: 2 });

describe('an adapter that is current on the new base', () => {
  test('is routed to the new pool by its name, and another stays', () => {
    const routes = objects(BY_ADAPTER, [OLD, NEW], 'HTTPRoute');
    expect(poolOf(routes, { 'X-Gateway-Model-Name': 'acme.support' })).toBe('llama-2');
    expect(poolOf(routes, { 'X-Gateway-Model-Name': 'acme.sales' })).toBe('llama-1');
    expect(poolOf(routes, {})).toBe('llama-1');
  });

  test('is routed to the new pool by the base that a payload processor looks up, and another stays', () => {
    const bases = basesOf(objects(BY_BASE, [OLD, NEW], 'ConfigMap'));
    expect([...bases]).toEqual([['acme.support', 'acme/2']]);
    const routes = objects(BY_BASE, [OLD, NEW], 'HTTPRoute');
    expect(poolOf(routes, { 'X-Gateway-Base-Model-Name': 'acme/2' })).toBe('llama-2');
    // Processors send an empty header for an adapter that they do not know.
    expect(poolOf(routes, { 'X-Gateway-Base-Model-Name': '' })).toBe('llama-1');
  });

  test('goes to the last of several pools on which it is current', () => {
    const pools = [OLD, NEW, pool('3', { support: 3, sales: 2 }), pool('4', { sales: 3 })];
    const bases = basesOf(objects(BY_BASE, pools, 'ConfigMap'));
    expect(Object.fromEntries(bases)).toEqual({ 'acme.support': 'acme/3', 'acme.sales': 'acme/4' });
    const routes = objects(BY_ADAPTER, pools, 'HTTPRoute');
    expect(poolOf(routes, { 'X-Gateway-Model-Name': 'acme.support' })).toBe('llama-3');
    expect(poolOf(routes, { 'X-Gateway-Model-Name': 'acme.sales' })).toBe('llama-4');
  });

  test.each([
    ['gateway-api', BY_ADAPTER, 'inference.networking.x-k8s.io/v1alpha2'],
    ['llm-d', BY_BASE, 'llm-d.ai/v1alpha2'],
  ] as const)('is rewritten for %s on each pool to what is current there', (_format, plan, apiVersion) => {
    const rewrites = objects(plan, [OLD, NEW], 'InferenceModelRewrite');
    expect(rewrites.map((rewrite) => rewrite.apiVersion)).toEqual([apiVersion, apiVersion]);
    const rule = (alias: string, name: string) => ({
      matches: [{ model: { type: 'Exact', value: alias } }],
      targets: [{ modelRewrite: name, weight: 1 }],
    });
    const poolRef = (name: string) => ({ group: 'inference.networking.k8s.io', kind: 'InferencePool', name });
    expect(rewrites.map(({ spec }) => spec)).toEqual([
      {
        poolRef: poolRef('llama-1'),
        rules: [rule('acme.sales', 'acme.sales@1'), rule('acme.support', 'acme.support@1')],
      },
      { poolRef: poolRef('llama-2'), rules: [rule('acme.support', 'acme.support@2')] },
    ]);
    expect(objects({ ...plan, rewrites: false }, [OLD, NEW], 'InferenceModelRewrite')).toEqual([]);
  });

  test('has a DynamoModel of its own for each version', () => {
    const models = objects(DYNAMO, [OLD, NEW], 'DynamoModel');
    expect(models.map(({ spec }) => spec)).toEqual([
      ...[['sales', 1, '1'] as const, ['support', 1, '1'] as const, ['support', 2, '2'] as const].map(
        ([adapter, number, base]) => ({
          modelName: `acme.${adapter}@${number}`,
          baseModelName: `acme/${base}`,
          modelType: 'lora',
          source: { uri: `s3://adapters/bmv_${base}/acme.${adapter}@${number}` },
        }),
      ),
    ]);
    requireLimits(DYNAMO, [OLD, NEW]);
  });
});

describe('the text', () => {
  test.each([BY_ADAPTER, BY_BASE, DYNAMO])('of $format does not depend on the order or the time of answers', (plan) => {
    const shuffled = [OLD, NEW].map((each) => ({
      ...each,
      served: [...each.served].reverse().map((served) => ({ ...served, changed_at: '2027-01-01T00:00:00.000Z' })),
    }));
    expect(textOf(plan, shuffled)).toBe(textOf(plan, [OLD, NEW]));
  });

  test('changes by one line in a ConfigMap when an adapter moves', () => {
    const moved = pool('2', Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`adapter-${index}`, 2])));
    const one = { ...moved, served: [...moved.served, version('one-more', 1, '2')] };
    const lines = (pools: readonly Pool[]) => toYaml(objects(BY_BASE, pools, 'ConfigMap')).split('\n');
    const [before, after] = [lines([OLD, moved]), lines([OLD, one])];
    expect(after.filter((line) => !before.includes(line))).toEqual(['    - "acme.one-more"']);
    expect(after).toHaveLength(before.length + 1);
  });

  test('quotes what YAML 1.1 takes for something else', () => {
    const odd = {
      ...NEW,
      served: ['on', '1_000', '0x1'].map((alias, index) => ({ ...version(String(index), 1, '2'), alias })),
    };
    const [map] = parseAllDocuments(toYaml(objects({ ...BY_BASE, configMaps: 1 }, [OLD, odd], 'ConfigMap')), {
      version: '1.1',
    });
    const { adapters } = (map!.toJS() as { data: { adapters: string } }).data;
    expect(parseAllDocuments(adapters, { version: '1.1' })[0]!.toJS()).toEqual(['on', '1_000', '0x1']);
  });
});

describe('10,000 adapters', () => {
  const old = fleet('1', 10_000);
  const moved = fleet('2', 10_000, 2);

  test.each([BY_ADAPTER, BY_BASE])('keep the limits of every object of $format, and each is routed', (plan) => {
    requireLimits(plan, [old, moved]);
    const bases = plan.format === 'llm-d' ? basesOf(objects(plan, [old, moved], 'ConfigMap')) : null;
    const values = new Set(
      objects(plan, [old, moved], 'HTTPRoute').flatMap((route) =>
        rulesOf(route).flatMap(({ matches }) =>
          matches.flatMap(({ headers }) => headers?.map(({ value }) => value) ?? []),
        ),
      ),
    );
    for (const { alias } of moved.served) expect(bases?.get(alias) ?? (values.has(alias) && 'acme/2')).toBe('acme/2');
  });

  test('change one or two routes when one more moves', () => {
    const textsOf = (pools: readonly Pool[]) =>
      objects(BY_ADAPTER, pools, 'HTTPRoute').map((route) => JSON.stringify(route));
    const before = new Set(textsOf([old, { ...moved, served: moved.served.slice(1) }]));
    const changed = textsOf([old, moved]).filter((text) => !before.has(text));
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.length).toBeLessThanOrEqual(2);
  });

  test('are refused with what to do where ConfigMaps cannot hold them', () => {
    const long = {
      ...moved,
      served: moved.served.map((each) => ({ ...each, alias: `${each.alias}${'%C3%A4'.repeat(40)}` })),
    };
    expect(() => exportFiles(BY_BASE, [old, long])).toThrow(/--config-maps/);
    requireLimits({ ...BY_BASE, configMaps: 32 }, [old, long]);
  });
});

test('an adapter never moves between ConfigMaps, which processors would lose it by', () => {
  const mapOf = (pools: readonly Pool[]) =>
    new Map(
      objects(BY_BASE, pools, 'ConfigMap').flatMap(({ metadata, data }) =>
        (parseAllDocuments(data!.adapters!)[0]!.toJS() as string[]).map((alias) => [alias, metadata.name] as const),
      ),
    );
  const [few, many] = [mapOf([OLD, fleet('2', 50)]), mapOf([OLD, fleet('2', 500)])];
  for (const [alias, name] of few) expect(many.get(alias)).toBe(name);
  expect(new Set(many.values()).size).toBe(4);
  expect(objects(BY_BASE, [OLD, pool('2', {})], 'ConfigMap')).toHaveLength(4);
});

test('one pool takes everything', () => {
  expect(poolOf(objects(BY_ADAPTER, [NEW], 'HTTPRoute'), { 'X-Gateway-Model-Name': 'acme.support' })).toBe('llama-2');
  expect(objects(BY_BASE, [NEW], 'ConfigMap')).toEqual([]);
  expect(poolOf(objects(BY_BASE, [NEW], 'HTTPRoute'), {})).toBe('llama-2');
});

describe('names', () => {
  test('are valid and differ, however alike and long those of pools and adapters are', () => {
    const long = 'x'.repeat(63);
    const pools = ['a', 'a-0', 'a-1', long].map((name, index) => ({ ...fleet(String(index), 300 * index), name }));
    requireLimits({ ...BY_ADAPTER, name: 'y'.repeat(63) }, pools);
    requireLimits({ ...BY_BASE, name: 'y'.repeat(63) }, pools);
    const alike = ['A.b@1', 'a-b@1', 'a.B@1', '%C3%A4@1', `${'z'.repeat(200)}@1`, `${'z'.repeat(200)}@2`];
    requireLimits(DYNAMO, [
      { ...NEW, served: alike.map((name, index) => ({ ...version(String(index), 1, '2'), name })) },
    ]);
  });

  test.each([
    ['adapters/{name}', /begins with s3/],
    ['s3://adapters/{tenant}/{name}', /\{tenant\}, expected \{adapter_id\}/],
    ['s3://adapters/{alias}', /the same for several versions/],
  ])('of the source %s are refused', (template, words) => {
    expect(() => sourceUri(template)).toThrow(words);
  });
});
