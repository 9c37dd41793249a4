import { expectedWeights } from '../../models/architecture/architecture.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from '../compiled/compiled-runtime.ts';
import { StreamedRuntime } from '../compiled/streamed-runtime.ts';
import { sizeOf } from '../graph/graph.ts';
import type { Runtime } from '../runtime.ts';
import { isLayerMatrix } from './inputs.ts';

/** Matrices of this size together, in bytes, are held in memory for a few passes if they fit; larger ones are streamed. */
const FEW_PASSES_BYTES = 2 ** 31;

/** Bytes of the weights of a stage that is streamed. */
export const STAGE_BYTES = 2 ** 29;

/** Share of the free memory that weights may take; the rest is for what is computed with them. */
const SHARE = 0.6;

export interface Float32Options extends Pick<CompiledRuntimeOptions, 'cache' | 'pool' | 'tracer'> {
  readonly threads: number;
  /** How often the weights will be used: reading them for each of many passes would cost more than memory is worth. */
  readonly passes: 'few' | 'many';
}

/** How the float32 matrices of a base can be used beside what is in memory already. */
export type Float32Plan = 'held' | 'streamed' | 'impossible';

/** @param available free memory in bytes */
export function planFloat32(
  { config }: Pick<BaseModel, 'config'>,
  passes: Float32Options['passes'],
  available = process.availableMemory(),
): Float32Plan {
  const sizes = expectedWeights(config)
    .filter(({ name }) => isLayerMatrix(name))
    .map(({ shape }) => 4 * sizeOf(shape));
  const all = sizes.reduce((total, size) => total + size, 0);
  if (all <= SHARE * available && (passes === 'many' || all <= FEW_PASSES_BYTES)) return 'held';
  return Math.max(STAGE_BYTES, 2 * Math.max(...sizes)) <= SHARE * available ? 'streamed' : 'impossible';
}

/** Whether a base's matrices are in memory in float32, all at once, while int8 is compared with it. */
export function isHeld(config: ModelConfig): boolean {
  return planFloat32({ config }, 'few') === 'held';
}

/** Opens a runtime in float32 for a base whose matrices lie on disk; null where there is no memory for it. */
export function openFloat32(base: BaseModel, { passes, ...options }: Float32Options): Runtime | null {
  const plan = planFloat32(base, passes);
  if (plan === 'impossible') return null;
  if (plan === 'held') return new CompiledRuntime(base, options);
  return new StreamedRuntime(base, { threads: options.threads, weightBytes: STAGE_BYTES });
}
