import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';

export const CHART = 'deploy/helm/readapt';

/** Value files for which the chart is tested. */
export const VALUES = readdirSync(path.join(CHART, 'ci')).map((name) => path.join(CHART, 'ci', name));

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  // oxlint-disable-next-line typescript/no-explicit-any -- what is in it is compared with Kubernetes' types
  readonly spec: any;
}

export interface HelmEnd {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs Helm; `READAPT_HELM` names it if it is not on the path. Without a cluster it needs to be given a Kubernetes
 * version.
 */
export function helm(...args: string[]): HelmEnd {
  const command = process.env.READAPT_HELM ?? 'helm';
  const { status, stdout, stderr, error } = spawnSync(command, [...args, '--kube-version', '1.30.0'], {
    encoding: 'utf8',
  });
  if (error !== undefined)
    throw new Error('helm cannot be started: install it, or name it by READAPT_HELM', { cause: error });
  return { status, stdout, stderr };
}

/** Manifests that the chart renders for a value file. @throws Error with Helm's message */
export function render(values: string, ...args: string[]): Manifest[] {
  const { status, stdout, stderr } = helm('template', 'example', CHART, '--values', values, ...args);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Pods of the manifests with their component. */
export function podsOf(manifests: readonly Manifest[]) {
  return manifests
    .filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
    .map(({ metadata, spec }) => ({
      name: metadata.name,
      labels: spec.template.metadata.labels,
      spec: spec.template.spec,
    }));
}

/** Names of the environment variables set by the manifests. */
export function variablesOf(manifests: readonly Manifest[]): string[] {
  return podsOf(manifests).flatMap(({ spec }) =>
    spec.containers.flatMap((container: { env: { name: string }[] }) => container.env.map(({ name }) => name)),
  );
}
