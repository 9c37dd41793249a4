/**
 * Names of the seven projections of a decoder layer without fused projections, in the order in which adapters list
 * them.
 */
export const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;

/**
 * Names of the four projections of a decoder layer in which queries, keys and values are fused, and gate and up too.
 */
export const FUSED_PROJECTIONS = [
  'self_attn.qkv_proj',
  'self_attn.o_proj',
  'mlp.gate_up_proj',
  'mlp.down_proj',
] as const;

export type Projection = (typeof PROJECTIONS)[number] | (typeof FUSED_PROJECTIONS)[number];
