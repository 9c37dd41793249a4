import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';

export const CHART = 'deploy/helm/readapt';

/** The files of values that the chart is tried with. */
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

/** Runs Helm, which `READAPT_HELM` names if it is not on the path. It knows no cluster, so it is told of a version. */
export function helm(...args: string[]): HelmEnd {
  const command = process.env.READAPT_HELM ?? 'helm';
  const { status, stdout, stderr, error } = spawnSync(command, [...args, '--kube-version', '1.30.0'], {
    encoding: 'utf8',
  });
  if (error !== undefined)
    throw new Error('helm cannot be started: install it, or name it by READAPT_HELM', { cause: error });
  return { status, stdout, stderr };
}

/** What the chart makes of a file of values. @throws Error with what Helm says */
export function render(values: string, ...args: string[]): Manifest[] {
  const { status, stdout, stderr } = helm('template', 'example', CHART, '--values', values, ...args);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** The pods that manifests make, with the component that they are. */
export function podsOf(manifests: readonly Manifest[]) {
  return manifests
    .filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
    .map(({ metadata, spec }) => ({
      name: metadata.name,
      labels: spec.template.metadata.labels,
      spec: spec.template.spec,
    }));
}

/** The names of the variables that manifests set. */
export function variablesOf(manifests: readonly Manifest[]): string[] {
  return podsOf(manifests).flatMap(({ spec }) =>
    spec.containers.flatMap((container: { env: { name: string }[] }) => container.env.map(({ name }) => name)),
  );
}
