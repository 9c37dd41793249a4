import type { Adapter, TrainableArrays } from '../models/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';

/**
 * A padded batch of token sequences. Rows are right-padded to `length`; a causal mask makes padding invisible to real
 * tokens, so no attention mask is needed. Only the listed label positions reach the output head.
 */
export interface Batch {
  readonly rows: number;
  /** Padded length T of every row. */
  readonly length: number;
  /** [rows · length] token ids, row-major. */
  readonly inputIds: Int32Array;
  /** [labels] flat positions (row · length + t) whose next token is predicted; padded with 0 where weight is 0. */
  readonly labelPositions: Int32Array;
  /** [labels] token ids to be predicted at those positions. */
  readonly labelTargets: Int32Array;
  /** [labels] 1 for a real label, 0 for padding (a bucket's label count is rounded up). */
  readonly labelWeights: Float32Array;
  /** Real (unpadded) input tokens in the batch, for throughput figures. */
  readonly tokens: number;
}

export interface GradientResult {
  /** Σ weight · nll over the batch's labels (natural log), not yet divided by anything. */
  readonly lossSum: number;
  /** Gradients of `lossSum · gradientScale`, keyed like the adapter's modules, in the shapes of the factors. */
  readonly gradients: ReadonlyMap<string, TrainableArrays>;
}

/**
 * What runs the program (loss, gradients, logits) on some device for one base model. Adapter tensors are inputs, so
 * one runtime serves every tenant; adapters with equal shapes share compiled graphs. `null` is the base alone.
 */
export interface Runtime {
  readonly name: string;
  readonly base: BaseModel;
  /** Negative log-likelihood of every label, [labels] in nats; entries of weight 0 are 0. */
  labelLosses(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /**
   * Loss and gradients with respect to every factor of the adapter.
   * @param gradientScale multiplies the gradients (1 / completion tokens of the whole optimiser step).
   */
  gradients(adapter: Adapter, batch: Batch, gradientScale: number): Promise<GradientResult>;
  /** Logits at the label positions, [labels, vocab], row-major (`labelTargets` is ignored). */
  logits(adapter: Adapter | null, batch: Batch): Promise<Float32Array>;
  /** Frees sessions and device memory. The base's arrays stay with their owner. */
  dispose(): Promise<void>;
}
