import type { Adapter, TrainableArrays } from '../models/lora/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { TokenBudgets } from './devices/token-budgets.ts';

/**
 * Token sequences of any lengths, one behind the other without padding. Each sequence attends only to itself, and only the
 * listed label positions reach the output head.
 */
export interface Batch {
  /** [tokens] token ids, sequence by sequence. */
  readonly inputIds: Int32Array;
  /** [sequences] number of tokens of each, at least one. */
  readonly sequenceLengths: Int32Array;
  /**
   * [sequences] number of tokens of the whole text that each sequence is the beginning of. Rotary scaling of the kinds
   * `dynamic` and `longrope` depends on it. Default: `sequenceLengths`.
   */
  readonly textLengths?: Int32Array;
  /** [labels] positions in `inputIds` whose next token is predicted. */
  readonly labelPositions: Int32Array;
  /** [labels] the ids of those next tokens. */
  readonly labelIds: Int32Array;
  /** What {@link Runtime.gradients} learns in place of `labelIds`. Default: those, with a share of 1. */
  readonly targets?: LabelTargets;
}

/**
 * Several tokens to predict at each label position, each with its share: soft targets, if the shares of a label are
 * probabilities (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, at a temperature of 1). The loss of a label is the
 * cross-entropy −Σ share · ln p(token).
 */
export interface LabelTargets {
  /** Number of tokens of each label. */
  readonly perLabel: number;
  /** [labels, perLabel] token ids, row-major. */
  readonly ids: Int32Array;
  /** [labels, perLabel] shares, row-major. They need not add up to 1. */
  readonly shares: Float32Array;
}

/** Dropout of the inputs of every A; which of them a call drops follows from the seed. */
export interface Dropout {
  /** Share of the inputs that is dropped, from 0 to below 1. */
  readonly rate: number;
  readonly seed: number;
}

export interface GradientResult {
  /** Σ of the losses of the batch's labels (natural log), not yet divided by anything. */
  readonly lossSum: number;
  /** Gradients of `lossSum · gradientScale`, keyed like the adapter's modules, in the shapes of the factors. */
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

/** Arrays by layer of the keys, rotated, and the values of tokens. */
export interface KeyValueArrays {
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

/** What a forward pass gives that begins or continues texts. */
export interface ForwardStates {
  /** [labels, vocab], row-major; of {@link Runtime.decode} [rows, vocab]. */
  readonly logits: Float32Array;
  /** Each layer's [states, keyValueHeads · headDim]. */
  readonly states: KeyValueArrays;
  /** [tokens] the row of `states` that belongs to each token: tokens that follow the same tokens share one. */
  readonly stateOfToken: Int32Array;
  /** Factors of the outputs of the adapter's DoRA modules, [outFeatures] each; empty from {@link Runtime.decode}. */
  readonly doraFactors: ReadonlyMap<string, Float32Array>;
}

/** One further token for each of some rows, whose earlier tokens are cached. */
export interface DecodeStep {
  /** [rows] ids of the new tokens. */
  readonly inputIds: Int32Array;
  /** [rows] positions of the new tokens, which are the numbers of tokens cached. */
  readonly positions: Int32Array;
  /** Each layer's [rows, keyValueHeads, slots, headDim]; the token at position p lies in slot p. */
  readonly cache: KeyValueArrays;
  /** Number of slots of each row, above the positions or equal to the largest. */
  readonly slots: number;
  /** As {@link Runtime.prefill} gave them for the same adapter. */
  readonly doraFactors: ReadonlyMap<string, Float32Array>;
}

/**
 * Computes losses, gradients and logits on some device for one base model. Adapter tensors are inputs, so one runtime
 * serves every tenant; adapters with equal shapes share compiled graphs, and batches of any size run on them. An adapter
 * that is null means the base alone.
 */
export interface Runtime {
  readonly name: string;
  readonly base: BaseModel;
  /**
   * Bytes that a call should take beside weights and factors. Where there are fewer, gradients compute again what they
   * would keep otherwise. Default: no limit.
   */
  activationBytes: number;
  /** How many tokens its device takes at once at full speed and within its memory. */
  readonly tokenBudgets: TokenBudgets;
  /** Negative log-likelihood of every label, [labels] in nats. */
  labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /**
   * Loss and gradients with respect to every factor of the adapter.
   * @param gradientScale multiplies the gradients, as 1 / completion tokens of the whole optimizer step
   * @param dropout default: none
   */
  gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult>;
  /** Logits at the label positions, [labels, vocab], row-major (`labelIds` is ignored). */
  logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /** Logits as {@link logits} gives them, with the keys and values of every token. */
  prefill(adapter: Adapter | null, batch: Batch): Promise<ForwardStates>;
  /** Logits after one further token of each row, from the keys and values of the earlier ones, which are not copied. */
  decode(adapter: Adapter | null, step: DecodeStep): Promise<ForwardStates>;
  /** Frees inference sessions and device memory. The base's arrays stay with their owner. */
  dispose(): Promise<void>;
}
