import type { Projection } from '../lora/projections.ts';

/** Names of the RMSNorms around one block of a layer: x + output(block(input(x))); null where there is none. */
export interface BlockNorms {
  readonly input: string | null;
  readonly output: string | null;
}

/** The kinds of rotary scaling that config.json may ask for; `default` is none. */
export type RopeType = 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope';

/** How config.json describes the rotary frequencies. */
export interface RopeDeclaration {
  /** The kinds that are supported; any other is refused. */
  readonly types: readonly RopeType[];
  /** Names that older files use for a kind. */
  readonly aliases?: Readonly<Record<string, RopeType>>;
  /** Whether `partial_rotary_factor` may limit rotation to the first share of a head's features; otherwise it must be 1. */
  readonly partial: boolean;
  /**
   * The field of older files with θ for layers with a window, if these have frequencies of their own. Newer files have it
   * under `sliding_attention`.
   */
  readonly slidingThetaField?: string;
}

/**
 * The variations by which one `model_type` differs from the others; all share one decoder. A declaration is plain data, so
 * that it can travel with a config.
 */
export interface Architecture {
  /** The linear layers of a decoder layer, in the order in which adapters list them. */
  readonly projections: readonly Projection[];
  /** The projections that have a bias: always, or where a field of config.json is true. */
  readonly biases: readonly { readonly projections: readonly Projection[]; readonly field?: string }[];
  /** The norms around attention and MLP: before them, after them, or both. */
  readonly norms: { readonly attention: BlockNorms; readonly mlp: BlockNorms };
  /** Whether norm weights are stored as the difference from one: y = x / rms(x) · (1 + w). */
  readonly normsFromOne: boolean;
  /** Whether queries and keys are RMS-normalized before their rotation, with weights of their own: by head, or all at once. */
  readonly queryKeyNorm: 'head' | 'projection' | null;
  /** Whether embeddings are multiplied by √hidden. */
  readonly scaledEmbeddings: boolean;
  /** The function f of the MLP's f(gate) · up. */
  readonly activation: 'silu' | 'gelu_pytorch_tanh';
  /**
   * Fields of config.json with the values that are supported, to which null and an absent field always belong; any other
   * value is refused.
   */
  readonly only: Readonly<Record<string, readonly unknown[]>>;
  /** Whether scores are scaled by 1/√n, n being `query_pre_attn_scalar` of config.json; otherwise by 1/√head_dim. */
  readonly queryScalar: boolean;
  /** Fields of config.json with the c that caps attention scores or final logits x as c · tanh(x / c); null for no cap. */
  readonly softcaps: { readonly attention: string | null; readonly logits: string | null };
  /**
   * Where config.json's `sliding_window` limits how far a query sees. `switched`: if `use_sliding_window` is true, in the
   * layers that `layer_types` names, or without that from `max_window_layers` on. An object: in the layers that
   * `layer_types` names, or without that in all but every n-th, where n is fixed or given by a field.
   */
  readonly slidingWindow: 'none' | 'every-layer' | 'switched' | { readonly fullEvery: number; readonly field?: string };
  readonly rope: RopeDeclaration;
  /** The values that transformers uses for fields that config.json leaves out. A field that is null there stays null. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** Declarations by `model_type`. */
export type Architectures = Readonly<Record<string, Architecture>>;
