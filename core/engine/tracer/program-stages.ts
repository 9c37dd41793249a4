import type { ProgramSpec } from '../decoder/program-spec.ts';
import { graphFor } from '../compiled/create-session.ts';
import type { ExecutionProvider } from '../devices/execution-provider.ts';
import { traceProgramStages } from './trace-program.ts';
import type { TraceStage } from './trace.ts';

/**
 * Traces a program and returns its graph as recorded, after each pass and, if the execution provider rewrites it, after
 * the rewriting.
 * @param weights the base's weights, for a provider whose graphs hold them; otherwise it may be empty
 */
export function programStages(
  spec: ProgramSpec,
  provider: ExecutionProvider,
  weights: ReadonlyMap<string, Float32Array>,
): TraceStage[] {
  const stages = traceProgramStages(spec);
  const traced = stages.at(-1)!.graph;
  const rewritten = graphFor(provider, traced, weights);
  if (rewritten === traced) return stages;
  return [...stages, { pass: `${provider.name} ${provider.precision}`, graph: rewritten }];
}
