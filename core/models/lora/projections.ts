/** The seven projections of a decoder layer without fused projections, in the order in which adapters list them. */
export const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

/** The four projections of a layer with fused queries, keys and values, and fused gate and up. */
export const FUSED_PROJECTIONS = [
  'self_attn.qkv_proj',
  'self_attn.o_proj',
  'mlp.gate_up_proj',
  'mlp.down_proj',
] as const;

export type Projection = (typeof PROJECTIONS)[number] | (typeof FUSED_PROJECTIONS)[number];
