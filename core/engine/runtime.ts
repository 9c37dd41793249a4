import type { Adapter, TrainableArrays } from '../models/lora/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { TokenBudgets } from './devices/token-budgets.ts';

/**
 * Token sequences of any lengths, concatenated without padding. Each sequence attends only to itself, and only the
 * listed label positions reach the output head.
 */
export interface Batch {
  /** [tokens] token ids, sequence by sequence. */
  readonly inputIds: Int32Array;
  /** [sequences] number of tokens in each sequence, at least 1. */
  readonly sequenceLengths: Int32Array;
  /**
   * [sequences] number of tokens of the whole text that each sequence begins. The rotary scalings `dynamic` and
   * `longrope` depend on it. Default: `sequenceLengths`.
   */
  readonly textLengths?: Int32Array;
  /** [labels] indices in `inputIds` of the tokens whose next token is predicted. */
  readonly labelPositions: Int32Array;
  /** [labels] ids of the tokens to predict at the label positions. */
  readonly labelIds: Int32Array;
  /**
   * Soft targets that {@link Runtime.gradients} learns instead of `labelIds`. Default: `labelIds`, with a share of 1.
   */
  readonly targets?: LabelTargets;
}

/**
 * Several tokens to predict at each label position, each with its share: soft targets, if the shares of a label are
 * probabilities (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, at a temperature of 1). The loss of a label is the
 * cross-entropy −Σ share · ln p(token).
 */
export interface LabelTargets {
  /** Number of soft targets of each label. */
  readonly perLabel: number;
  /** [labels, perLabel] ids of the tokens to predict, row-major. */
  readonly ids: Int32Array;
  /** [labels, perLabel] share of each of these tokens, row-major. The shares of a label need not add up to 1. */
  readonly shares: Float32Array;
}

/** Dropout of the inputs of every A; the mask follows from the seed. */
export interface Dropout {
  /** Share of dropped inputs, from 0 to below 1. */
  readonly rate: number;
  readonly seed: number;
}

export interface GradientResult {
  /** Σ of the losses of the batch's labels (natural log), not yet divided by anything. */
  readonly lossSum: number;
  /** Gradients of `lossSum · gradientScale`, keyed like the adapter's modules, in the shapes of the factors. */
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

/** Keys after rotation, and values, with an array for each layer. */
export interface KeyValueArrays {
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

/** Logits, and keys and values, from a forward pass that begins or continues texts. */
export interface ForwardStates {
  /** Logits, row-major: [labels, vocab] from {@link Runtime.prefill}, [rows, vocab] from {@link Runtime.decode}. */
  readonly logits: Float32Array;
  /** Keys and values of the pass's tokens: for each layer, arrays [states, keyValueHeads · headDim]. */
  readonly states: KeyValueArrays;
  /** [tokens] index of each token's row in `states`. Tokens that follow the same tokens share a row. */
  readonly stateOfToken: Int32Array;
  /** Factors of the outputs of the adapter's DoRA modules, [outFeatures] each; empty from {@link Runtime.decode}. */
  readonly doraFactors: ReadonlyMap<string, Float32Array>;
}

/** Input of a step of generation: one further token for each of some rows (texts), whose earlier tokens are cached. */
export interface DecodeStep {
  /** [rows] id of each row's new token. */
  readonly inputIds: Int32Array;
  /** [rows] position of each row's new token, which equals the number of its cached tokens. */
  readonly positions: Int32Array;
  /**
   * Keys and values of earlier tokens: for each layer, arrays [rows, keyValueHeads, slots, headDim]. The token at
   * position p is in slot p.
   */
  readonly cache: KeyValueArrays;
  /** Number of slots in each row of the cache, at least the largest position. */
  readonly slots: number;
  /** Factors of DoRA modules' outputs that {@link Runtime.prefill} has returned for the same adapter. */
  readonly doraFactors: ReadonlyMap<string, Float32Array>;
}

/**
 * Computes losses, gradients and logits for one base model on some device. Adapter tensors are inputs, so one runtime
 * serves every tenant; adapters with equal shapes share compiled graphs, which accept batches of any size. A null
 * adapter means the base alone.
 */
export interface Runtime {
  readonly name: string;
  readonly base: BaseModel;
  /**
   * Memory limit of a call in bytes, without weights and factors. If it is low, the backward pass recomputes values
   * rather than keeping them. Default: no limit.
   */
  activationBytes: number;
  /** Numbers of tokens that the device processes at once, at full speed and within its memory. */
  readonly tokenBudgets: TokenBudgets;
  /**
   * Difference up to which two logits count as equal. The rounding of logits depends on the shapes in a call, which may
   * thus reorder such logits: a pass over a whole text multiplies other shapes than single steps do.
   */
  readonly logitRounding: number;
  /** Negative log-likelihood of every label, [labels] in nats. */
  labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /**
   * Loss and its gradients with respect to every factor of the adapter.
   * @param gradientScale factor of the gradients, such as 1 / completion tokens of the whole optimizer step
   * @param dropout default: none
   */
  gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult>;
  /** Logits at the label positions, [labels, vocab], row-major (`labelIds` is ignored). */
  logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /** Logits at the label positions, like {@link logits}, and the keys and values of every token. */
  prefill(adapter: Adapter | null, batch: Batch): Promise<ForwardStates>;
  /**
   * Logits after one further token of each row, from the cached keys and values of earlier ones, which are not copied.
   */
  decode(adapter: Adapter | null, step: DecodeStep): Promise<ForwardStates>;
  /** Frees inference sessions and device memory. The base's arrays belong to their owner. */
  dispose(): Promise<void>;
}
