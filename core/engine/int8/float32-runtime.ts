import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from '../compiled/compiled-runtime.ts';
import { StreamedRuntime } from '../compiled/streamed-runtime.ts';
import { sizeOf } from '../graph/graph.ts';
import { baseBytes } from '../memory/base-memory.ts';
import type { Runtime } from '../runtime.ts';
import { layerMatrices, layerWeights } from './layer-weights.ts';

/** Matrices of this size together, in bytes, are held in memory for a few passes if they fit; larger ones are streamed. */
const FEW_PASSES_BYTES = 2 ** 31;

/** Most bytes of the weights of a stage that is streamed. */
const STAGE_BYTES = 2 ** 29;

/** Share of the free memory that weights may take; the rest is for what is computed with them. */
const SHARE = 0.6;

/** Share of it for a stage. The arrays of other stages stay meanwhile where they have other sizes. */
const STAGE_SHARE = 1 / 3;

/** Matrices of the size of the largest that a stage has room for at the least. */
const FEWEST_MATRICES = 2;

export interface Float32Options extends Pick<CompiledRuntimeOptions, 'cache' | 'pool' | 'tracer'> {
  readonly threads: number;
  /**
   * How often the weights will be used: reading them for each of many passes would cost more than memory is worth, and
   * reading them in each step of a training more than float32 is worth.
   */
  readonly passes: 'few' | 'many' | 'training';
  /** Bytes that the process may still take. */
  readonly free: number;
}

/** How the float32 matrices of a base can be used beside what is in memory already. */
export type Float32Plan = 'held' | 'streamed' | 'impossible';

/** @param free memory in bytes */
export function planFloat32(
  { config }: Pick<BaseModel, 'config'>,
  passes: Float32Options['passes'],
  free: number,
): Float32Plan {
  const all = 4 * layerWeights(config);
  if (all <= SHARE * free && (passes !== 'few' || all <= FEW_PASSES_BYTES)) return 'held';
  if (passes === 'training') return 'impossible';
  return smallestStage(config) <= STAGE_SHARE * free ? 'streamed' : 'impossible';
}

/** Bytes of the weights of a stage where they are streamed: as many as there is memory for, and never less than can be. */
export function stageBytes({ config }: Pick<BaseModel, 'config'>, free: number): number {
  return Math.max(smallestStage(config), Math.min(STAGE_BYTES, STAGE_SHARE * free));
}

/** Bytes of the weights of the smallest stage. */
export function smallestStage(config: ModelConfig): number {
  return FEWEST_MATRICES * Math.max(...layerMatrices(config).map(({ shape }) => 4 * sizeOf(shape)));
}

/**
 * Whether a base's matrices are in memory in float32, all at once, while int8 is compared with it. They stay until the end,
 * when the base is there in 8 bits, too.
 * @param free bytes that the process may still take before they are read
 */
export function isHeld(config: ModelConfig, free: number): boolean {
  return planFloat32({ config }, 'few', free - baseBytes(config, 'int8')) === 'held';
}

/** Opens a runtime in float32 for a base whose matrices lie on disk; null where there is no memory for it. */
export function openFloat32(base: BaseModel, { passes, free, ...options }: Float32Options): Runtime | null {
  const plan = planFloat32(base, passes, free);
  if (plan === 'impossible') return null;
  if (plan === 'held') {
    return new CompiledRuntime(base, { ...options, activationBytes: free - 4 * layerWeights(base.config) });
  }
  return new StreamedRuntime(base, { threads: options.threads, weightBytes: stageBytes(base, free) });
}
