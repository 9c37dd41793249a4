import type { Adapter } from '../../models/lora/adapter.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { ProgramKind, ProgramSpec } from '../decoder/program-spec.ts';
import { graphFor } from '../compiled/create-session.ts';
import type { ExecutionProvider } from '../devices/execution-provider.ts';
import { traceProgramStages } from './trace-program.ts';
import type { TraceStage } from './trace.ts';

export interface ProgramOptions {
  readonly kind: ProgramKind;
  readonly config: ModelConfig;
  readonly adapter: Adapter | null;
  readonly dropout?: boolean;
  readonly repeats?: boolean;
}

/** What a base's program is specialised to, for an adapter. */
export function programSpec({ kind, config, adapter, dropout = false, repeats = false }: ProgramOptions): ProgramSpec {
  const adapted = [...(adapter?.modules ?? [])].map(
    ([module, { rank, magnitude }]) => [module, { rank, dora: magnitude !== undefined }] as const,
  );
  return { config, kind, modules: new Map(adapted), dropout, repeats };
}

/**
 * A program's graph as it was recorded, after each pass, and, where the provider rewrites it, as that provider runs it.
 * @param weights of the base, where the provider's graphs keep them
 */
export function programStages(
  spec: ProgramSpec,
  provider: ExecutionProvider,
  weights: ReadonlyMap<string, Float32Array>,
): TraceStage[] {
  const stages = traceProgramStages(spec);
  const traced = stages.at(-1)!.graph;
  const rewritten = graphFor(provider, traced, weights);
  return rewritten === traced
    ? stages
    : [...stages, { pass: `${provider.name} ${provider.precision}`, graph: rewritten }];
}
