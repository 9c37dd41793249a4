import type { Projection } from '../lora/projections.ts';

/** Names of the RMSNorms around one block of a layer: x + output(block(input(x))); null where there is none. */
export interface BlockNorms {
  readonly input: string | null;
  readonly output: string | null;
}

/** The kinds of rotary scaling that config.json may ask for; `default` is none. */
export type RopeType = 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope';

/** How config.json says at which speeds a head's pairs turn. */
export interface RopeDeclaration {
  /** The kinds that are computed; any other is refused. */
  readonly types: readonly RopeType[];
  /** Names that older files use for a kind. */
  readonly aliases?: Readonly<Record<string, RopeType>>;
  /** `partial_rotary_factor` is honoured: only the first share of a head's features turns. Else it must be 1. */
  readonly partial: boolean;
  /** Layers with a window turn at speeds of their own: θ from this field, in older files (`sliding_attention` in newer). */
  readonly slidingThetaField?: string;
}

/**
 * One decoder with declared variations: what tells a `model_type` from the others. Plain data, so that a declaration
 * can travel with a config.
 */
export interface Architecture {
  /** The linear layers of a decoder layer, in the order in which adapters list them. */
  readonly projections: readonly Projection[];
  /** Projections that have a bias: always, or where a field of config.json is true. */
  readonly biases: readonly { readonly projections: readonly Projection[]; readonly field?: string }[];
  /** Where a layer normalizes: before attention and MLP, after them, or both. */
  readonly norms: { readonly attention: BlockNorms; readonly mlp: BlockNorms };
  /** Norm weights are stored as the difference from one: y = x / rms(x) · (1 + w). */
  readonly normsFromOne: boolean;
  /** Queries and keys are RMS-normalized before their rotation, with weights of their own: each head, or all at once. */
  readonly queryKeyNorm: 'head' | 'projection' | null;
  /** Embeddings are multiplied by √hidden. */
  readonly scaledEmbeddings: boolean;
  /** f of the MLP's f(gate) · up. */
  readonly activation: 'silu' | 'gelu_pytorch_tanh';
  /** Fields of config.json with the values that are computed (null and left out always are); any other is refused. */
  readonly only: Readonly<Record<string, readonly unknown[]>>;
  /** `query_pre_attn_scalar` n of config.json scales scores by 1/√n; else they are by 1/√head_dim. */
  readonly queryScalar: boolean;
  /** Fields of config.json that cap attention scores and final logits x softly, c · tanh(x / c); null where none does. */
  readonly softcaps: { readonly attention: string | null; readonly logits: string | null };
  /**
   * What of config.json limits how far a query sees: nothing; `sliding_window` in every layer; `use_sliding_window`,
   * which switches it on in the layers that `layer_types` names (without it: from `max_window_layers` on); or in the
   * layers of `layer_types`, without it in all but every n-th, n in a field or fixed.
   */
  readonly slidingWindow: 'none' | 'every-layer' | 'switched' | { readonly fullEvery: number; readonly field?: string };
  readonly rope: RopeDeclaration;
  /** What transformers takes where config.json leaves a field out. A field that is null there stays null. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** Declarations by `model_type`. */
export type Architectures = Readonly<Record<string, Architecture>>;
