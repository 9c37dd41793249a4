import type { Methods } from './protocol.ts';

type BaseParams = Methods['models.create_base']['params'];

/** Random model: the parameters of `create_base` besides folder and seed. */
export interface BaseCase extends Pick<BaseParams, 'dtype' | 'max_shard_size'> {
  readonly name: string;
  /** The `model_type` and the arguments of its configuration. */
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
  pad_token_id: null,
  bos_token_id: 1,
  eos_token_id: 2,
};

// Rotary scaling that has an effect within a few dozen positions, since rows are at most 30 tokens long.
const LINEAR = { rope_type: 'linear', rope_theta: 10000, factor: 3 };
const LLAMA3 = {
  rope_type: 'llama3',
  rope_theta: 500,
  factor: 4,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 16,
};
const DYNAMIC = { max_position_embeddings: 12, rope_parameters: { rope_type: 'dynamic', rope_theta: 200, factor: 4 } };
const YARN = { rope_type: 'yarn', rope_theta: 300, factor: 4, original_max_position_embeddings: 16, beta_fast: 4 };
/**
 * LongRoPE settings that scale three of a head's four pairs. Some rows are longer than the original length, some are
 * not.
 */
const LONGROPE = {
  original_max_position_embeddings: 14,
  rope_parameters: {
    rope_type: 'longrope',
    rope_theta: 100,
    partial_rotary_factor: 0.75,
    original_max_position_embeddings: 14,
    short_factor: [1, 1.1, 1.3],
    long_factor: [1.5, 2, 3],
  },
};

/** Sliding windows that have an effect within a few dozen positions. */
const WINDOWED = { use_sliding_window: true, sliding_window: 5, max_window_layers: 1 };

const LLAMA: readonly BaseCase[] = [
  { name: 'Llama: tied, grouped-query', dtype: 'float32', config: SMALL },
  {
    name: 'Llama: untied, multi-head, bfloat16 in shards',
    dtype: 'bfloat16',
    max_shard_size: '10KB',
    config: { ...SMALL, num_key_value_heads: 4, tie_word_embeddings: false },
  },
  {
    name: 'Llama: own head_dim, llama3 rotary scaling',
    dtype: 'float32',
    config: { ...SMALL, head_dim: 12, rope_parameters: LLAMA3 },
  },
  {
    name: 'Llama: one key-value head, linear rotary scaling, untied, in shards',
    dtype: 'float32',
    max_shard_size: '20KB',
    config: {
      ...SMALL,
      num_key_value_heads: 1,
      num_hidden_layers: 3,
      tie_word_embeddings: false,
      rope_parameters: LINEAR,
    },
  },
  {
    name: 'Llama: all biases, dynamic rotary scaling',
    dtype: 'float32',
    config: { ...SMALL, ...DYNAMIC, attention_bias: true, mlp_bias: true },
  },
  { name: 'Llama: yarn rotary scaling', dtype: 'bfloat16', config: { ...SMALL, rope_parameters: YARN } },
];

const MISTRAL = { ...SMALL, model_type: 'mistral', tie_word_embeddings: false };

const QWEN2 = { ...SMALL, model_type: 'qwen2' };
const QWEN3 = { ...SMALL, model_type: 'qwen3' };

const GEMMA2 = {
  ...SMALL,
  model_type: 'gemma2',
  head_dim: 12,
  query_pre_attn_scalar: 20,
  sliding_window: 6,
  attn_logit_softcapping: 2.5,
  final_logit_softcapping: 5.5,
};

const GEMMA3 = {
  ...SMALL,
  model_type: 'gemma3_text',
  num_hidden_layers: 3,
  head_dim: 12,
  query_pre_attn_scalar: 10,
  sliding_window: 6,
  layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
};
const gemma3Rope = (full: object) => ({
  rope_parameters: { full_attention: full, sliding_attention: { rope_type: 'default', rope_theta: 50 } },
});

const PHI3 = { ...SMALL, model_type: 'phi3', tie_word_embeddings: false };

/** Every architecture with its variations; the number of models of each is a multiple of three. */
export const FAMILIES: readonly (readonly BaseCase[])[] = [
  LLAMA,
  [
    {
      name: 'Mistral: own head_dim, a window of 7',
      dtype: 'bfloat16',
      config: { ...MISTRAL, head_dim: 12, sliding_window: 7 },
    },
    {
      name: 'Mistral: no window, dynamic rotary scaling',
      dtype: 'float32',
      config: { ...MISTRAL, ...DYNAMIC, sliding_window: null },
    },
    {
      name: 'Mistral: a window of 9, yarn rotary scaling, tied',
      dtype: 'float32',
      config: { ...MISTRAL, sliding_window: 9, rope_parameters: YARN, tie_word_embeddings: true },
    },
  ],
  [
    { name: 'Qwen2', dtype: 'float32', config: QWEN2 },
    {
      name: 'Qwen2: one key-value head, a window of 5 from the second layer on',
      dtype: 'float32',
      config: { ...QWEN2, ...WINDOWED, num_key_value_heads: 1, tie_word_embeddings: false },
    },
    {
      name: 'Qwen2: yarn rotary scaling with a given attention factor',
      dtype: 'bfloat16',
      config: { ...QWEN2, rope_parameters: { ...YARN, attention_factor: 1.3 } },
    },
  ],
  [
    { name: 'Qwen3', dtype: 'bfloat16', config: { ...QWEN3, head_dim: 12, tie_word_embeddings: false } },
    {
      name: 'Qwen3: biases, a window of 5 from the second layer on',
      dtype: 'float32',
      config: { ...QWEN3, ...WINDOWED, head_dim: 16, attention_bias: true },
    },
    {
      name: 'Qwen3: llama3 rotary scaling, multi-head',
      dtype: 'float32',
      config: { ...QWEN3, head_dim: 8, num_key_value_heads: 4, rope_parameters: LLAMA3 },
    },
  ],
  [
    { name: 'Gemma 2', dtype: 'float32', config: GEMMA2 },
    {
      name: 'Gemma 2: no caps, biases, untied',
      dtype: 'float32',
      config: {
        ...GEMMA2,
        attn_logit_softcapping: null,
        final_logit_softcapping: null,
        attention_bias: true,
        tie_word_embeddings: false,
      },
    },
    {
      name: 'Gemma 2: one cap, windows by layer, linear rotary scaling',
      dtype: 'bfloat16',
      config: {
        ...GEMMA2,
        final_logit_softcapping: null,
        layer_types: ['full_attention', 'sliding_attention'],
        rope_parameters: LINEAR,
      },
    },
  ],
  [
    {
      name: 'Gemma 3',
      dtype: 'float32',
      config: { ...GEMMA3, ...gemma3Rope({ rope_type: 'default', rope_theta: 1000 }) },
    },
    {
      name: 'Gemma 3: linear rotary scaling of the full layers, capped logits',
      dtype: 'bfloat16',
      config: { ...GEMMA3, ...gemma3Rope(LINEAR), final_logit_softcapping: 5.5 },
    },
    {
      name: 'Gemma 3: yarn rotary scaling of the full layers, biases',
      dtype: 'float32',
      config: { ...GEMMA3, ...gemma3Rope(YARN), attention_bias: true, num_key_value_heads: 4 },
    },
  ],
  [
    { name: 'Phi-3: a window of 8', dtype: 'bfloat16', config: { ...PHI3, sliding_window: 8 } },
    { name: 'Phi-3: longrope on a share of each head', dtype: 'float32', config: { ...PHI3, ...LONGROPE } },
    {
      name: 'Phi-3: a share of each head, one key-value head, tied',
      dtype: 'float32',
      config: {
        ...PHI3,
        num_key_value_heads: 1,
        tie_word_embeddings: true,
        rope_parameters: { rope_type: 'default', rope_theta: 100, partial_rotary_factor: 0.5 },
      },
    },
  ],
];

/** Model with the fewest special settings. */
export const PLAIN: BaseCase = LLAMA[0]!;
