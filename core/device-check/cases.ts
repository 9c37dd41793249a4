import type { ModelConfig } from '../models/config/model-config.ts';
import type { Precision } from '../options/precisions.ts';

/** Description of a random model, adapter and batch on which a device is compared with the reference device. */
export interface CheckCase {
  readonly name: string;
  readonly config?: Partial<ModelConfig>;
  readonly dora?: boolean;
  /** Number of tokens of each sequence in the batch. */
  readonly lengths: readonly number[];
  /** Number of leading tokens that all sequences share. Default: none. */
  readonly alike?: number;
  /** Dropout rate of the adapter's inputs when gradients are computed. Default: none. */
  readonly dropout?: number;
  /** Precision of the base's matrices. Default: f32. */
  readonly precision?: Precision;
}

const QKV = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'] as const;
const GEMMA2 = { modelType: 'gemma2', queryPreAttnScalar: 10, attentionSoftcap: 2, logitSoftcap: 3 };
const GEMMA3 = {
  modelType: 'gemma3_text',
  queryPreAttnScalar: 10,
  slidingWindows: [3, null],
  slidingRope: { ropeTheta: 100, ropeScaling: null },
};
/** Sizes of a model so wide that the engine computes LoRA updates apart from the weights. */
const WIDE = { hiddenSize: 288, intermediateSize: 600, numHeads: 48, numKeyValueHeads: 48 };

/** Cases for every model family, for LoRA and DoRA, and for the batch shapes that take a code path of their own. */
const CASES: readonly CheckCase[] = [
  { name: 'llama, grouped queries', lengths: [7, 7, 7] },
  { name: 'llama, rows of all lengths', lengths: [3, 9, 1, 5, 4, 2] },
  { name: 'llama, rows that begin alike', lengths: [9, 8, 9], alike: 5 },
  { name: 'llama, one token', lengths: [1] },
  { name: 'llama, dropout', lengths: [6, 5], dropout: 0.25 },
  { name: 'llama, DoRA', dora: true, lengths: [5, 2] },
  { name: 'llama, wide, DoRA', config: WIDE, dora: true, lengths: [8, 6] },
  {
    name: 'llama, untied head, scaled rotary angles',
    config: { tieWordEmbeddings: false, ropeScaling: { type: 'linear', factor: 2 } },
    lengths: [8, 8],
  },
  { name: 'mistral, windows', config: { modelType: 'mistral', slidingWindows: [2, 2] }, lengths: [7, 3, 4] },
  { name: 'qwen2, biases', config: { modelType: 'qwen2', biases: QKV }, lengths: [6, 6] },
  { name: 'qwen3, norms of queries and keys, DoRA', config: { modelType: 'qwen3' }, dora: true, lengths: [6, 4] },
  { name: 'gemma2, capped scores and logits', config: GEMMA2, lengths: [6, 3] },
  { name: 'gemma3, windows with rotary angles of their own', config: GEMMA3, lengths: [7, 5] },
  { name: 'phi3, fused projections', config: { modelType: 'phi3', partialRotaryFactor: 0.67 }, lengths: [6, 5] },
];

const HALF: readonly CheckCase[] = [
  { name: 'llama, base in float16', lengths: [7, 7, 7], precision: 'f16' },
  { name: 'llama, wide, DoRA, base in float16', config: WIDE, dora: true, lengths: [8, 6], precision: 'f16' },
];

/**
 * Returns all cases to check a device with.
 * @param half whether the device can keep a base in float16
 */
export function checkCases(half: boolean): readonly CheckCase[] {
  return half ? [...CASES, ...HALF] : CASES;
}
