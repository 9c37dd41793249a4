import type { ProgramSpec } from '../decoder/program-spec.ts';
import type { ExecutionProvider } from '../devices/execution-provider.ts';
import { ownSources, sha256 } from './sources.ts';

/**
 * Equal for programs whose encoded graphs are the same: a hash of all that decides them, known without tracing. That is
 * the program's description, the provider and precision that it is rewritten for, and the code and packages that trace,
 * rewrite and encode. Machine and ONNX Runtime are no part of it: the graph is all ours, and any of them reads it.
 * @param sources hash of the code, where it is not that of this process
 */
export function graphKey(
  spec: ProgramSpec,
  { name, precision }: Pick<ExecutionProvider, 'name' | 'precision'>,
  sources = ownSources(),
): string {
  return sha256(JSON.stringify([{ ...spec, modules: [...spec.modules] }, name, precision, sources]));
}
