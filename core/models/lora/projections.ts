/** The seven projections of a decoder layer where none are fused, in the order in which adapters list them. */
export const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

/** The four projections of a layer that computes queries, keys and values in one product, and gate and up in another. */
export const FUSED_PROJECTIONS = [
  'self_attn.qkv_proj',
  'self_attn.o_proj',
  'mlp.gate_up_proj',
  'mlp.down_proj',
] as const;

export type Projection = (typeof PROJECTIONS)[number] | (typeof FUSED_PROJECTIONS)[number];
