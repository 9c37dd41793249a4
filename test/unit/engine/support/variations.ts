import { expect } from 'vitest';
import { factorArrays } from '../../../../core/training/optimizer/factors.ts';
import type { Batch, Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { ModelConfig, RotaryScaling } from '../../../../core/models/config/model-config.ts';
import { PROJECTIONS } from '../../../../core/models/lora/projections.ts';
import { largestDifference } from './numeric.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from './random-model.ts';

export const everyModule = () => 3;
const only = (pattern: RegExp) => (module: string) => (pattern.test(module) ? 2 : null);

/** Describes a random model, adapter and batch. */
export interface Variation {
  readonly name: string;
  readonly config?: Partial<ModelConfig>;
  /** Rank of each module, null for a module that is not adapted. Default: 3 everywhere. */
  readonly ranks?: (module: string) => number | null;
  readonly dora?: boolean;
  /** Number of tokens of each sequence. */
  readonly lengths: readonly number[];
  /** Number of labels of each sequence. Default 2. */
  readonly labels?: number;
}

const GEMMA = { modelType: 'gemma2', queryPreAttnScalar: 10, attentionSoftcap: 2, logitSoftcap: 3 };
const YARN: RotaryScaling = {
  type: 'yarn',
  factor: 4,
  originalMaxPositionEmbeddings: 16,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
  attentionFactor: null,
  mscale: null,
  mscaleAllDim: null,
};

/** Square matrices just large enough that LoRA's update is computed beside them. */
const WIDE = { hiddenSize: 264, intermediateSize: 264, headDim: 66, numKeyValueHeads: 4 };
const SLIDING_ROPE = { slidingWindows: [3, null], slidingRope: { ropeTheta: 100, ropeScaling: null } };

/** Every variation of the decoder, adapters and batches, on models small enough for the reference. */
export const VARIATIONS: readonly Variation[] = [
  { name: 'all modules, grouped queries', lengths: [7, 7, 7] },
  { name: 'sequences of all lengths, several to a bin', lengths: [3, 9, 1, 5, 4, 2], labels: 3 },
  {
    name: 'one key head a query head, untied',
    config: { numKeyValueHeads: 4, tieWordEmbeddings: false },
    lengths: [5, 4],
  },
  { name: 'one key head for all', config: { numKeyValueHeads: 1 }, lengths: [9], labels: 9 },
  { name: 'q and v of the last layer', ranks: only(/1\.self_attn\.[qv]/), lengths: [6, 6] },
  { name: 'down of the last layer', ranks: only(/1\.mlp\.down/), lengths: [6, 3] },
  { name: 'ranks that differ', ranks: (module) => 1 + (module.length % 4), lengths: [4, 4] },
  { name: 'one token', lengths: [1], labels: 1 },
  { name: 'wide, so that updates stay beside the weights', config: WIDE, lengths: [5, 3] },
  { name: 'one layer', config: { numLayers: 1 }, lengths: [5, 5] },
  { name: 'DoRA', dora: true, lengths: [5, 2] },
  { name: 'DoRA beside the weights', config: WIDE, dora: true, lengths: [8, 6] },
  { name: 'DoRA on q and down', dora: true, ranks: only(/q_proj|down/), lengths: [6, 6] },
  { name: 'windows of two keys and of all', config: { slidingWindows: [2, null] }, lengths: [7, 3, 4], labels: 7 },
  { name: 'a window of one key', config: { numLayers: 1, slidingWindows: [1] }, lengths: [5, 5] },
  { name: 'biases everywhere, DoRA', config: { biases: PROJECTIONS }, dora: true, lengths: [6, 6, 6] },
  { name: 'biases on k and down', config: { biases: ['self_attn.k_proj', 'mlp.down_proj'] }, lengths: [16, 3] },
  { name: 'norms of queries and keys', config: { modelType: 'qwen3' }, lengths: [6, 4] },
  { name: 'linear rope scaling', config: { ropeScaling: { type: 'linear', factor: 2 } }, lengths: [8, 8] },
  { name: 'yarn, which scales attention', config: { ropeScaling: YARN }, lengths: [8, 5] },
  { name: 'norms before and after, GELU, capped scores and logits', config: GEMMA, lengths: [6, 3] },
  { name: 'windows with rotary speeds of their own', config: SLIDING_ROPE, lengths: [7, 5] },
  { name: 'fused projections', config: { modelType: 'phi3' }, lengths: [6, 5] },
  { name: 'a share of each head turned', config: { modelType: 'phi3', partialRotaryFactor: 0.67 }, lengths: [6, 5] },
];

export interface VariationCase {
  readonly base: BaseModel;
  readonly adapter: Adapter;
  readonly batch: Batch;
}

export function variationCase({ config, ranks = everyModule, dora, lengths, labels }: Variation): VariationCase {
  const base = randomBase(config);
  const lora = randomAdapter(base, ranks);
  return { base, adapter: dora ? asDora(lora) : lora, batch: randomBatch(base, lengths, labels) };
}

/**
 * Expects losses, logits and gradients of two runtimes to agree, with the adapter, and losses and logits without it
 * too unless `adapters` leaves that out: losses and logits to `tolerance`, gradients to
 * `tolerance` times the largest number in each factor's gradient.
 */
export async function expectSameResults(
  [runtime, reference]: readonly [Runtime, Runtime],
  { adapter, batch }: VariationCase,
  tolerance: number,
  adapters: readonly (Adapter | null)[] = [adapter, null],
): Promise<void> {
  for (const which of adapters) {
    const [losses, expected] = [await runtime.labelLosses(which, batch), await reference.labelLosses(which, batch)];
    expect(largestDifference(losses, expected)).toBeLessThan(tolerance);
    const [logits, expectedLogits] = [await runtime.logits(which, batch), await reference.logits(which, batch)];
    expect(largestDifference(logits, expectedLogits)).toBeLessThan(tolerance);
  }
  const found = await runtime.gradients(adapter, batch, 0.25);
  const expected = await reference.gradients(adapter, batch, 0.25);
  expect(Math.abs(found.lossSum - expected.lossSum)).toBeLessThan(tolerance * expected.lossSum);
  for (const [name, values] of factorArrays(expected.gradients)) {
    const largest = largestDifference(values, new Float32Array(values.length));
    const difference = largestDifference(factorArrays(found.gradients).get(name)!, values);
    expect(difference, name).toBeLessThan(tolerance * largest + tolerance / 100);
  }
}
