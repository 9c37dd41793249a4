import type { ProgramSpec } from '../decoder/program-spec.ts';
import type { ExecutionProvider } from '../devices/execution-provider.ts';
import { WEIGHT_INTEGERS } from '../int8/weight-integers.ts';
import { ownSources, sha256 } from './sources.ts';

/**
 * Hashes everything that determines a program's encoded graph, so that the graph's key is known without tracing: the
 * program's specification, the execution provider and precision that the graph is rewritten for, and the code and
 * packages that trace, rewrite and encode it. The only property of the machine that affects the graph is the form of
 * its int8 weights.
 * @param sources hash of the code; default: the hash of this process's code
 */
export function graphKey(
  spec: ProgramSpec,
  { name, precision, observes }: Pick<ExecutionProvider, 'name' | 'precision' | 'observes'>,
  sources = ownSources(),
): string {
  const form = precision === 'int8' ? WEIGHT_INTEGERS.type : null;
  return sha256(JSON.stringify([{ ...spec, modules: [...spec.modules] }, name, precision, form, observes, sources]));
}
