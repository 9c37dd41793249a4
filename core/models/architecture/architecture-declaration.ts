import type { Projection } from '../lora/projections.ts';

/** Names of the RMSNorms around one block of a layer: x + output(block(input(x))). Null means no norm at that place. */
export interface BlockNorms {
  readonly input: string | null;
  readonly output: string | null;
}

/** Kinds of rotary scaling in config.json; `default` means no scaling. */
export type RopeType = 'default' | 'linear' | 'dynamic' | 'llama3' | 'yarn' | 'longrope';

/** Rotary frequencies as config.json describes them. */
export interface RopeDeclaration {
  /** Kinds of rotary scaling that Readapt supports for the architecture; any other is refused. */
  readonly types: readonly RopeType[];
  /** Names of kinds of rotary scaling in older files, with today's names. */
  readonly aliases?: Readonly<Record<string, RopeType>>;
  /**
   * Whether `partial_rotary_factor` may limit rotation to the first share of a head's features; otherwise it must be 1.
   */
  readonly partial: boolean;
  /**
   * Field of older files that holds θ of the sliding-window layers, if these have frequencies of their own. Newer files
   * keep it under `sliding_attention`.
   */
  readonly slidingThetaField?: string;
}

/**
 * Properties of one `model_type` in which it differs from the others; all of them share one decoder. A declaration is
 * plain data, so that it can be stored with a config.
 */
export interface Architecture {
  /** Linear layers of a decoder layer, in the order in which adapters list them. */
  readonly projections: readonly Projection[];
  /** Projections with a bias: always, or only if `field` of config.json is true. */
  readonly biases: readonly { readonly projections: readonly Projection[]; readonly field?: string }[];
  /** Norms before and after attention and the MLP, as far as the architecture has them. */
  readonly norms: { readonly attention: BlockNorms; readonly mlp: BlockNorms };
  /** Whether norm weights are stored minus one: y = x / rms(x) · (1 + w). */
  readonly normsFromOne: boolean;
  /** RMS normalization of queries and keys before their rotation: for each head, over the whole projection, or none. */
  readonly queryKeyNorm: 'head' | 'projection' | null;
  /** Whether embeddings are multiplied by √hidden. */
  readonly scaledEmbeddings: boolean;
  /** Activation function f in the MLP's f(gate) · up. */
  readonly activation: 'silu' | 'gelu_pytorch_tanh';
  /**
   * Supported values of fields of config.json. Null and an absent field are always supported; any other value is
   * refused.
   */
  readonly only: Readonly<Record<string, readonly unknown[]>>;
  /** Whether scores are scaled by 1/√n, n being `query_pre_attn_scalar` of config.json; otherwise by 1/√head_dim. */
  readonly queryScalar: boolean;
  /**
   * Fields of config.json that hold the cap c of attention scores and final logits: x becomes c · tanh(x / c). Null
   * means no cap.
   */
  readonly softcaps: { readonly attention: string | null; readonly logits: string | null };
  /**
   * Layers in which config.json's `sliding_window` limits the keys that a query attends to. `switched`: no layer unless
   * `use_sliding_window` is true; if it is, the layers that `layer_types` names or, without that field, all layers from
   * `max_window_layers` on. An object: the layers that `layer_types` names or, without that field, all but every n-th
   * layer, where n is the value of `field` in config.json, by default `fullEvery`.
   */
  readonly slidingWindow: 'none' | 'every-layer' | 'switched' | { readonly fullEvery: number; readonly field?: string };
  readonly rope: RopeDeclaration;
  /**
   * Defaults of transformers for fields that config.json leaves out. A field that is null in config.json stays null.
   */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** Declarations of architectures by the `model_type` of config.json. */
export type Architectures = Readonly<Record<string, Architecture>>;
