import { Random } from '../../../workers/models/random.ts';
import type { Methods, TokenIds } from './protocol.ts';

type BaseParams = Methods['models.create_base']['params'];

/** A family of random models: what `create_base` needs beside folder and seed. */
export interface BaseCase extends Pick<BaseParams, 'dtype' | 'max_shard_size'> {
  readonly name: string;
  /** `model_type` and arguments of its configuration. */
  readonly config: Readonly<Record<string, unknown>>;
}

const SMALL = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 44,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 61,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
};

/** Rotary scaling that matters within a few dozen positions. */
const LLAMA3_ROPE = {
  rope_type: 'llama3',
  rope_theta: 500,
  factor: 4,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};

/** Matters within a few dozen positions, too. */
const WINDOWED = { use_sliding_window: true, sliding_window: 5, max_window_layers: 1 };

export const BASES: readonly BaseCase[] = [
  { name: 'tied, grouped-query', dtype: 'float32', config: SMALL },
  {
    name: 'untied, multi-head, bfloat16 in shards',
    dtype: 'bfloat16',
    max_shard_size: '10KB',
    config: { ...SMALL, num_key_value_heads: 4, tie_word_embeddings: false },
  },
  {
    name: 'own head_dim, llama3 rotary scaling',
    dtype: 'float32',
    config: { ...SMALL, head_dim: 12, rope_parameters: LLAMA3_ROPE },
  },
  {
    name: 'one key-value head, linear rotary scaling, untied, in shards',
    dtype: 'float32',
    max_shard_size: '20KB',
    config: {
      ...SMALL,
      num_key_value_heads: 1,
      num_hidden_layers: 3,
      tie_word_embeddings: false,
      rope_parameters: { rope_type: 'linear', rope_theta: 10000, factor: 3 },
    },
  },
  { name: 'Llama with all biases', dtype: 'float32', config: { ...SMALL, attention_bias: true, mlp_bias: true } },
  {
    name: 'Mistral with a window of 7',
    dtype: 'bfloat16',
    config: { ...SMALL, model_type: 'mistral', head_dim: 12, sliding_window: 7, tie_word_embeddings: false },
  },
  { name: 'Qwen2', dtype: 'float32', config: { ...SMALL, model_type: 'qwen2' } },
  {
    name: 'Qwen2 with a window of 5 from the second layer on',
    dtype: 'float32',
    config: { ...SMALL, ...WINDOWED, model_type: 'qwen2', num_key_value_heads: 1, tie_word_embeddings: false },
  },
  { name: 'Qwen3', dtype: 'bfloat16', config: { ...SMALL, model_type: 'qwen3', head_dim: 12, tie_word_embeddings: false } },
  {
    name: 'Qwen3 with biases and a window of 5 from the second layer on',
    dtype: 'float32',
    config: { ...SMALL, ...WINDOWED, model_type: 'qwen3', head_dim: 16, attention_bias: true },
  },
];

/** Arguments of PEFT's LoraConfig. */
export interface LoraCase {
  readonly name: string;
  readonly lora: Readonly<Record<string, unknown>>;
}

const ALL = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

export const LORAS: readonly LoraCase[] = [
  { name: 'LoRA on all projections', lora: { r: 4, lora_alpha: 8, target_modules: ALL } },
  { name: 'rsLoRA on q and v', lora: { r: 6, lora_alpha: 6, use_rslora: true, target_modules: ['q_proj', 'v_proj'] } },
  {
    name: 'rank and alpha patterns',
    lora: {
      r: 3,
      lora_alpha: 6,
      target_modules: ['q_proj', 'o_proj', 'up_proj', 'down_proj'],
      rank_pattern: { 'layers.0.self_attn.q_proj': 5, up_proj: 2, '.*1.*down_proj': 7 },
      alpha_pattern: { o_proj: 3, 'layers.1.mlp.up_proj': 9 },
    },
  },
  {
    name: 'rsLoRA patterns on the MLP',
    lora: {
      r: 2,
      lora_alpha: 4,
      use_rslora: true,
      target_modules: ['gate_proj', 'down_proj'],
      rank_pattern: { gate_proj: 5 },
      alpha_pattern: { down_proj: 1 },
    },
  },
];

/** DoRA's norms, magnitudes and their gradients, on all layers and with every other setting. */
export const DORAS: readonly LoraCase[] = [
  { name: 'DoRA on all projections', lora: { r: 4, lora_alpha: 8, use_dora: true, target_modules: ALL } },
  {
    name: 'DoRA with rsLoRA and a rank pattern',
    lora: {
      r: 6,
      lora_alpha: 6,
      use_dora: true,
      use_rslora: true,
      target_modules: ['q_proj', 'v_proj', 'down_proj'],
      rank_pattern: { v_proj: 2 },
    },
  },
];

export const SEEDS = [1, 2, 3] as const;

/** Random examples of 4 to 30 tokens. */
export function randomExamples(count: number, vocabSize: number, seed: number): TokenIds[] {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => random.integer(vocabSize));
  return Array.from({ length: count }, () => {
    return { promptIds: ids(3 + random.integer(22)), completionIds: ids(1 + random.integer(5)) };
  });
}
