import type { Adapter, TrainableArrays } from '../models/lora/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';

/**
 * Token sequences of any lengths, one behind the other without padding. Each sequence sees itself alone. Only the listed
 * label positions reach the output head.
 */
export interface Batch {
  /** [tokens] token ids, sequence by sequence. */
  readonly inputIds: Int32Array;
  /** [sequences] tokens of each, at least one. */
  readonly sequenceLengths: Int32Array;
  /**
   * [sequences] tokens of the whole text that each begins, which rotary scaling of the kinds `dynamic` and `longrope` goes
   * by. Default: `sequenceLengths`.
   */
  readonly textLengths?: Int32Array;
  /** [labels] positions in `inputIds` whose next token is predicted. */
  readonly labelPositions: Int32Array;
  /** [labels] token ids to be predicted there. */
  readonly labelIds: Int32Array;
}

/** Which inputs a call drops follows from the seed. */
export interface Dropout {
  /** From 0 to below 1. */
  readonly rate: number;
  readonly seed: number;
}

export interface GradientResult {
  /** Σ nll over the batch's labels (natural log), not yet divided by anything. */
  readonly lossSum: number;
  /** Gradients of `lossSum · gradientScale`, keyed like the adapter's modules, in the shapes of the factors. */
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

/**
 * What runs the program (loss, gradients, logits) on some device for one base model. Adapter tensors are inputs, so
 * one runtime serves every tenant; adapters with equal shapes share compiled graphs, and batches of any size run on them. `null` is the base alone.
 */
export interface Runtime {
  readonly name: string;
  readonly base: BaseModel;
  /** Negative log-likelihood of every label, [labels] in nats. */
  labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /**
   * Loss and gradients with respect to every factor of the adapter.
   * @param gradientScale multiplies the gradients (1 / completion tokens of the whole optimizer step)
   * @param dropout of the inputs of every A; default none
   */
  gradients(adapter: Adapter, batch: Batch, gradientScale: number, dropout?: Dropout): Promise<GradientResult>;
  /** Logits at the label positions, [labels, vocab], row-major (`labelIds` is ignored). */
  logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /** Frees sessions and device memory. The base's arrays stay with their owner. */
  dispose(): Promise<void>;
}
