import path from 'node:path';
import ts from 'typescript';
import type { Manifest } from './chart.ts';

/** API version of the Prometheus operator's kinds, for which Kubernetes has no types. */
const OF_OTHERS = 'monitoring.coreos.com/v1';

/**
 * Type-checks manifests against Kubernetes' API types: unknown fields, missing fields, wrong types.
 * @returns TypeScript's message for each problem
 */
export function typeProblems(manifests: readonly Manifest[]): string[] {
  const known = manifests.filter(({ apiVersion }) => apiVersion !== OF_OTHERS);
  const lines = known.flatMap((manifest, index) => [
    `import type { ${manifest.kind} as Kind${index} } from 'kubernetes-types/${moduleOf(manifest.apiVersion)}';`,
    `export const manifest${index}: Kind${index} = ${JSON.stringify(manifest)};`,
  ]);
  // Virtual file at a place where its imports resolve; it is never written.
  const file = path.resolve('test/helm/rendered.ts');
  const options: ts.CompilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const readSource = host.getSourceFile.bind(host);
  const exists = host.fileExists.bind(host);
  host.fileExists = (name) => name === file || exists(name);
  host.getSourceFile = (name, languageVersion) =>
    name === file ? ts.createSourceFile(name, lines.join('\n'), languageVersion) : readSource(name, languageVersion);
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** Module of an API version: `apps/v1` → `apps/v1`, `v1` → `core/v1`, `networking.k8s.io/v1` → `networking/v1`. */
function moduleOf(apiVersion: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  return `${group!.replace('.k8s.io', '')}/${version}`;
}
