import type { BaseModel } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { CompiledRuntime, type CompiledRuntimeOptions } from '../compiled/compiled-runtime.ts';
import { StreamedRuntime } from '../compiled/streamed-runtime.ts';
import { elementCount } from '../graph/graph.ts';
import { baseBytes } from '../memory/base-memory.ts';
import type { Runtime } from '../runtime.ts';
import { layerMatrices, layerWeights } from './layer-weights.ts';

/**
 * Largest total size in bytes of float32 matrices that are loaded into memory for only a few passes, provided that they
 * fit. Larger matrices are read anew in each pass.
 */
const FEW_PASSES_BYTES = 2 ** 31;

/** Largest total size in bytes of the weights in one stage of a streamed program. */
const STAGE_BYTES = 2 ** 29;

/** Largest share of the free memory that float32 weights may take; the rest is for computations. */
const SHARE = 0.6;

/**
 * Largest share of the free memory that the weights of one stage may take. The rest leaves room for arrays of earlier
 * stages, which stay in memory if their sizes differ.
 */
const STAGE_SHARE = 1 / 3;

/** Number of matrices of the largest size that even the smallest stage must have room for. */
const MIN_STAGE_MATRICES = 2;

export interface Float32Options extends Pick<CompiledRuntimeOptions, 'cache' | 'pool' | 'tracer'> {
  readonly threads: number;
  /**
   * Purpose of the weights: a few passes over them, many, or training. For `few`, large weights are streamed even if
   * they would fit. For `training`, weights are never streamed: reading them for every step costs more than float32 is
   * worth.
   */
  readonly passes: 'few' | 'many' | 'training';
  /** Number of bytes that the process may still allocate. */
  readonly free: number;
}

/**
 * Place of a base's float32 matrices during a computation: all in memory, read stage by stage, or nowhere because the
 * memory does not suffice.
 */
export type Float32Plan = 'held' | 'streamed' | 'impossible';

/**
 * Decides whether the float32 matrices are held in memory, streamed, or cannot be used.
 * @param free memory in bytes
 */
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

/** Size of the weights of a streamed stage in bytes: as much as the memory allows, but never below the minimum. */
export function stageBytes({ config }: Pick<BaseModel, 'config'>, free: number): number {
  return Math.max(smallestStage(config), Math.min(STAGE_BYTES, STAGE_SHARE * free));
}

/** Smallest limit, in bytes, for the weights of a streamed stage; with less, streaming is impossible. */
export function smallestStage(config: ModelConfig): number {
  return MIN_STAGE_MATRICES * Math.max(...layerMatrices(config).map(({ shape }) => 4 * elementCount(shape)));
}

/**
 * Whether enough memory is free to keep all float32 matrices of a base until int8 has been compared with float32. At
 * the end of the comparison, the 8-bit matrices are in memory, too.
 * @param free bytes that the process may still allocate before the matrices are read
 */
export function isHeld(config: ModelConfig, free: number): boolean {
  return planFloat32({ config }, 'few', free - baseBytes(config, 'int8')) === 'held';
}

/** Opens a float32 runtime for a base whose matrices are on disk; null if the memory does not suffice. */
export function openFloat32(base: BaseModel, { passes, free, ...options }: Float32Options): Runtime | null {
  const plan = planFloat32(base, passes, free);
  if (plan === 'impossible') return null;
  if (plan === 'held') {
    return new CompiledRuntime(base, { ...options, activationBytes: free - 4 * layerWeights(base.config) });
  }
  return new StreamedRuntime(base, { threads: options.threads, weightBytes: stageBytes(base, free) });
}
