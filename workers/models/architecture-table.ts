import type { SupportedModelType } from './model-config.ts';
import type { Projection } from './projections.ts';

/** One decoder with declared variations: what tells a supported `model_type` from the others. */
export interface Architecture {
  /** Projections that have a bias: always, or where a field of config.json is true. */
  readonly biases: readonly { readonly projections: readonly Projection[]; readonly field?: string }[];
  /** Each query's and key's head is RMS-normalised before its rotation, with weights of its own. */
  readonly queryKeyNorm: boolean;
  /**
   * What of config.json limits how far a query sees: nothing, `sliding_window` in every layer, or `use_sliding_window`,
   * which switches it on in the layers that `layer_types` names (without it: from `max_window_layers` on).
   */
  readonly slidingWindow: 'none' | 'every-layer' | 'switched';
  /** What transformers takes where config.json leaves a field out. A field that is null there stays null. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

const QUERY_KEY_VALUE: readonly Projection[] = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];
const ATTENTION: readonly Projection[] = [...QUERY_KEY_VALUE, 'self_attn.o_proj'];
const MLP: readonly Projection[] = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'];

export const ARCHITECTURES: Readonly<Record<SupportedModelType, Architecture>> = {
  llama: {
    biases: [
      { projections: ATTENTION, field: 'attention_bias' },
      { projections: MLP, field: 'mlp_bias' },
    ],
    queryKeyNorm: false,
    slidingWindow: 'none',
    defaults: {},
  },
  mistral: {
    biases: [],
    queryKeyNorm: false,
    slidingWindow: 'every-layer',
    defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  },
  qwen2: {
    biases: [{ projections: QUERY_KEY_VALUE }],
    queryKeyNorm: false,
    slidingWindow: 'switched',
    defaults: {
      num_key_value_heads: 32,
      max_position_embeddings: 32_768,
      sliding_window: 4096,
      max_window_layers: 28,
    },
  },
  qwen3: {
    biases: [{ projections: ATTENTION, field: 'attention_bias' }],
    queryKeyNorm: true,
    slidingWindow: 'switched',
    defaults: {
      num_key_value_heads: 32,
      head_dim: 128,
      max_position_embeddings: 32_768,
      sliding_window: 4096,
      max_window_layers: 28,
    },
  },
};
