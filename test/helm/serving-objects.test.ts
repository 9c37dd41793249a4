// Validates the output of `readapt export k8s` against the schemas that the projects publish as Go modules.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Compile } from 'typebox/compile';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exportFiles, type ExportPlan } from '../../cli/kubernetes/export-files.ts';
import type { Manifest } from '../../cli/kubernetes/manifest.ts';
import { fleet, pool } from '../unit/cli/kubernetes/served.ts';
import { typeProblems } from './kubernetes-types.ts';

/** Last version of the inference extension with InferenceModelRewrite. */
const INFERENCE_EXTENSION = 'sigs.k8s.io/gateway-api-inference-extension@v1.5.0';
const DEFINITIONS = {
  HTTPRoute: ['sigs.k8s.io/gateway-api@v1.6.3', 'config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'],
  InferenceModelRewrite: [
    INFERENCE_EXTENSION,
    'config/crd/bases/inference.networking.x-k8s.io_inferencemodelrewrites.yaml',
  ],
} as const;

type Schema = Readonly<Record<string, unknown>>;
interface Definition {
  readonly spec: {
    readonly group: string;
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

const ROUTING = { name: 'readapt', namespace: 'serving', gateway: 'gateway', gatewayNamespace: 'edge', rewrites: true };
const BY_ADAPTER: ExportPlan = {
  ...ROUTING,
  ...{ format: 'gateway-api', hostnames: ['llm.example.com'], modelHeader: 'X-Gateway-Model-Name' },
};
const BY_BASE: ExportPlan = { ...ROUTING, format: 'llm-d', hostnames: ['*.example.com'], configMaps: 4 };
const POOLS = [fleet('1', 300), fleet('2', 300, 2), pool('3', {})];

const definitions = new Map<string, Definition>();
beforeAll(() => {
  for (const [kind, [module, file]] of Object.entries(DEFINITIONS)) {
    definitions.set(kind, parse(readFileSync(path.join(download(module), file), 'utf8')) as Definition);
  }
});

/** Downloads a Go module if it is missing. @returns its folder */
function download(module: string): string {
  const { status, stdout, stderr } = spawnSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`go cannot download ${module}: ${stderr}${stdout}`);
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

/** Schema that refuses unknown fields. An API server drops them, and `kubectl` refuses them. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, strict(value)]));
  const isClosed = 'properties' in copy && copy.type === 'object' && !('additionalProperties' in copy);
  return isClosed ? { ...copy, additionalProperties: false } : copy;
}

/** Problems of an object by the schema of its kind. */
function problemsOf(manifest: Manifest, apiVersion = manifest.apiVersion): string[] {
  const { spec } = definitions.get(manifest.kind)!;
  const version = spec.versions.find(({ name }) => `${spec.group}/${name}` === apiVersion);
  if (version === undefined) return [`${spec.group} has no ${apiVersion}`];
  const validator = Compile(strict(version.schema.openAPIV3Schema) as Schema);
  return validator.Errors(manifest).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const of = (plan: ExportPlan, kind: string): Manifest[] =>
  exportFiles(plan, POOLS).flatMap(({ manifests }) => manifests.filter((manifest) => manifest.kind === kind));

describe('the published schemas', () => {
  test.each([BY_ADAPTER, BY_BASE])('take the routes of $format', (plan) => {
    const routes = of(plan, 'HTTPRoute');
    expect(routes.length).toBeGreaterThan(0);
    expect(routes.flatMap((route) => problemsOf(route))).toEqual([]);
  });

  test('take the rewrites, whose fields llm-d has taken over into its own group', () => {
    expect(of(BY_ADAPTER, 'InferenceModelRewrite').flatMap((rewrite) => problemsOf(rewrite))).toEqual([]);
    const [, apiVersion] = ['llm-d.ai/v1alpha2', 'inference.networking.x-k8s.io/v1alpha2'];
    expect(of(BY_BASE, 'InferenceModelRewrite').flatMap((rewrite) => problemsOf(rewrite, apiVersion))).toEqual([]);
  });

  test('refuse unknown fields, and more than they allow', () => {
    const [route] = of(BY_ADAPTER, 'HTTPRoute');
    const { rules } = route!.spec as { rules: object[] };
    expect(problemsOf({ ...route!, spec: { ...route!.spec, gateway: 'other' } })).not.toEqual([]);
    expect(problemsOf({ ...route!, spec: { ...route!.spec, rules: Array(17).fill(rules[0]) } })).not.toEqual([]);
  });
});

test('ConfigMaps are what the types of Kubernetes ask for', () => {
  const maps = of(BY_BASE, 'ConfigMap').map((manifest) => ({ ...manifest, spec: undefined }));
  expect(maps).toHaveLength(8);
  expect(typeProblems(maps)).toEqual([]);
});
