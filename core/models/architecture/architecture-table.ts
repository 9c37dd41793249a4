import type { Architecture } from './architecture-declaration.ts';
import { FUSED_PROJECTIONS, PROJECTIONS, type Projection } from '../lora/projections.ts';

const QUERY_KEY_VALUE: readonly Projection[] = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];
const ATTENTION: readonly Projection[] = [...QUERY_KEY_VALUE, 'self_attn.o_proj'];
const MLP: readonly Projection[] = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'];

/** Declaration of Llama, from which the declarations of the other architectures are derived. */
const LLAMA: Architecture = {
  projections: PROJECTIONS,
  biases: [
    { projections: ATTENTION, field: 'attention_bias' },
    { projections: MLP, field: 'mlp_bias' },
  ],
  norms: {
    attention: { input: 'input_layernorm', output: null },
    mlp: { input: 'post_attention_layernorm', output: null },
  },
  normsFromOne: false,
  queryKeyNorm: null,
  scaledEmbeddings: false,
  activation: 'silu',
  only: { hidden_act: ['silu'] },
  queryScalar: false,
  softcaps: { attention: null, logits: null },
  slidingWindow: 'none',
  rope: { types: ['default', 'linear', 'dynamic', 'llama3', 'yarn'], partial: false },
  defaults: {},
};

const QWEN_DEFAULTS = {
  num_key_value_heads: 32,
  max_position_embeddings: 32_768,
  sliding_window: 4096,
  max_window_layers: 28,
};

const GEMMA2: Architecture = {
  ...LLAMA,
  biases: [{ projections: ATTENTION, field: 'attention_bias' }],
  norms: {
    attention: { input: 'input_layernorm', output: 'post_attention_layernorm' },
    mlp: { input: 'pre_feedforward_layernorm', output: 'post_feedforward_layernorm' },
  },
  normsFromOne: true,
  scaledEmbeddings: true,
  activation: 'gelu_pytorch_tanh',
  only: { hidden_activation: ['gelu_pytorch_tanh'], use_bidirectional_attention: [false] },
  queryScalar: true,
  softcaps: { attention: 'attn_logit_softcapping', logits: 'final_logit_softcapping' },
  slidingWindow: { fullEvery: 2 },
  defaults: {
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 8192,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    tie_word_embeddings: true,
    bos_token_id: 2,
    eos_token_id: 1,
  },
};

/** Every supported architecture by its `model_type`. */
export const ARCHITECTURES = {
  llama: LLAMA,
  mistral: {
    ...LLAMA,
    biases: [],
    slidingWindow: 'every-layer',
    defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  },
  qwen2: {
    ...LLAMA,
    biases: [{ projections: QUERY_KEY_VALUE }],
    slidingWindow: 'switched',
    defaults: QWEN_DEFAULTS,
  },
  qwen3: {
    ...LLAMA,
    biases: [{ projections: ATTENTION, field: 'attention_bias' }],
    queryKeyNorm: 'head',
    slidingWindow: 'switched',
    defaults: { ...QWEN_DEFAULTS, head_dim: 128 },
  },
  gemma2: GEMMA2,
  gemma3_text: {
    ...GEMMA2,
    queryKeyNorm: 'head',
    // Gemma 3 does not cap attention scores, so a number in this field is refused.
    only: { ...GEMMA2.only, attn_logit_softcapping: [] },
    softcaps: { attention: null, logits: 'final_logit_softcapping' },
    slidingWindow: { fullEvery: 6, field: 'sliding_window_pattern' },
    rope: { ...LLAMA.rope, slidingThetaField: 'rope_local_base_freq' },
    defaults: {
      ...GEMMA2.defaults,
      max_position_embeddings: 131_072,
      rope_theta: 1_000_000,
      rope_local_base_freq: 10_000,
      attn_logit_softcapping: null,
      final_logit_softcapping: null,
    },
  },
  phi3: {
    ...LLAMA,
    projections: FUSED_PROJECTIONS,
    biases: [],
    slidingWindow: 'every-layer',
    rope: { types: ['default', 'longrope'], aliases: { su: 'longrope', yarn: 'longrope' }, partial: true },
    defaults: {
      max_position_embeddings: 4096,
      original_max_position_embeddings: 4096,
      rms_norm_eps: 1e-5,
      bos_token_id: 1,
      eos_token_id: 32_000,
    },
  },
} as const satisfies Readonly<Record<string, Architecture>>;
