import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom-gradient.ts';

/**
 * Picks rows of a matrix; the gradient adds each row back at its position, and sums those of repeated positions.
 * @param x [rows, n]
 * @param positions [picked] int32
 */
export function pickRows(x: tf.Tensor2D, positions: tf.Tensor1D): tf.Tensor2D {
  return withGradient([x], (input) => ({
    value: tf.gather(input, positions),
    gradient: (dy) => tf.scatterND(positions.reshape([-1, 1]), dy, x.shape),
  }));
}

export interface Head {
  /** Weight of the output head, [vocab, n]. */
  readonly weight: tf.Tensor2D;
  /** Cap c of the logits, each of which becomes c · tanh(logit / c). Null means no cap. */
  readonly cap: number | null;
}

/** Computes logits [labels, vocab] from hidden states [labels, n]. */
export function logitsOf(hidden: tf.Tensor2D, { weight, cap }: Head): tf.Tensor2D {
  return capped(tf.matMul<tf.Tensor2D>(hidden, weight, false, true), cap);
}

function capped<T extends tf.Tensor>(logits: T, cap: number | null): T {
  return cap === null ? logits : tf.tanh(logits.mul(1 / cap)).mul(cap);
}

/** Options for computing losses from hidden states. */
export interface LossOptions {
  /**
   * Number of equal blocks of labels, computed one after another so that the logits of only one block are in memory.
   */
  readonly blocks: number;
  /** Whether the caller will compute gradients by the hidden states. */
  readonly differentiated: boolean;
}

/**
 * Negative log-likelihood of each label's id, [labels] in nats: log Σ exp(h Eᵀ) − h · E[id]. The id's logit is computed
 * from its embedding row, so that no gradient has to be scattered into [labels, vocab].
 * @param hidden [labels, n]; the number of labels is a multiple of the number of blocks
 * @param ids [labels] int32
 */
export function negativeLogLikelihood(
  hidden: tf.Tensor2D,
  head: Head,
  ids: tf.Tensor1D,
  options: LossOptions,
): tf.Tensor1D {
  const own = rowProducts(hidden, tf.gather(head.weight, ids));
  return logSumExp(hidden, head, options).sub(capped(own, head.cap));
}

/** Tokens to predict at each label, and the share of each of them; both tensors are [targets, labels]. */
export interface SoftTargets {
  /** Ids of the tokens, int32. */
  readonly ids: tf.Tensor2D;
  readonly shares: tf.Tensor2D;
}

/**
 * Cross-entropy of each label with soft targets, [labels] in nats: −Σ q · ln p = (Σ q) · log Σ exp(h Eᵀ) − Σ q · (h ·
 * E[id]), where q are the shares of the label's targets (Hinton, Vinyals and Dean 2015, arXiv 1503.02531, section 2, at
 * a temperature of 1). The targets cost a row of embeddings each; the logits are computed once. If the logits are not
 * capped, Σ q · (h · E[id]) = h · (Σ q · E[id]).
 * @param hidden [labels, n]; the number of labels is a multiple of the number of blocks
 */
export function softCrossEntropy(
  hidden: tf.Tensor2D,
  head: Head,
  { ids, shares }: SoftTargets,
  options: LossOptions,
): tf.Tensor1D {
  const shareOf = rowsOf(shares);
  const targets = rowsOf(ids).map((id, index) => ({ id, share: shareOf[index]! }));
  const embedding = (id: tf.Tensor1D) => tf.gather<tf.Tensor2D>(head.weight, id);
  const own =
    head.cap === null
      ? rowProducts(hidden, sumOf(targets.map(({ id, share }) => embedding(id).mul<tf.Tensor2D>(asColumn(share)))))
      : sumOf(
          targets.map(({ id, share }) => capped(rowProducts(hidden, embedding(id)), head.cap).mul<tf.Tensor1D>(share)),
        );
  return logSumExp(hidden, head, options)
    .mul<tf.Tensor1D>(sumOf(targets.map(({ share }) => share)))
    .sub(own);
}

/** Splits a matrix [count, n] into its rows, each [n]. */
function rowsOf(x: tf.Tensor2D): tf.Tensor1D[] {
  return tf.split(x, x.shape[0]).map((part) => part.reshape([x.shape[1]]));
}

function sumOf<T extends tf.Tensor>(terms: readonly T[]): T {
  return terms.reduce((sum, term) => sum.add<T>(term));
}

/**
 * Computes log Σ exp of each row's logits, [labels, n] → [labels]. Its gradient with respect to a row of hidden states
 * is the same row of softmax(logits) E times a number. So the gradient is computed together with the value, and neither
 * logits nor probabilities are kept for the backward pass. Both results of a block are packed into one tensor before
 * they are split again: a runtime that computes on demand then finishes one block before it begins the next.
 */
function logSumExp(hidden: tf.Tensor2D, head: Head, { blocks, differentiated }: LossOptions): tf.Tensor1D {
  const computed = (rows: tf.Tensor2D) => cutIntoBlocks(rows, blocks).map((block) => blockOf(block, head));
  if (!differentiated) return joinBlocks(computed(hidden).map(({ value }) => value()));
  return withGradient([hidden], (rows) => {
    const results = computed(rows).map(({ value, gradient }) => tf.concat([gradient(), asColumn(value())], 1));
    const [gradients, values] = tf.split(joinBlocks(results), [hidden.shape[1], 1], 1) as [tf.Tensor2D, tf.Tensor2D];
    return {
      value: values.reshape<tf.Tensor1D>([hidden.shape[0]]),
      saved: [gradients],
      gradient: (dy, gradients) => gradients.mul(asColumn(dy)),
    };
  });
}

/**
 * Computes the results of one block of labels: log Σ exp of its logits, [block], and the gradient of this value with
 * respect to the block's hidden states, [block, n]. The value follows from the softmax p without another pass, as
 * max(x) − log(max(p)), where max(p) ≥ 1 / vocab never underflows.
 */
function blockOf(hidden: tf.Tensor2D, head: Head) {
  const logits = logitsOf(hidden, head);
  const probabilities = tf.softmax(logits);
  return {
    value: () => tf.max(logits, -1).sub<tf.Tensor1D>(tf.log(tf.max(probabilities, -1))),
    gradient: () => tf.matMul<tf.Tensor2D>(uncapped(probabilities, logits, head.cap), head.weight),
  };
}

/**
 * Computes the gradient with respect to x of y = c · tanh(x / c), given the gradient `dy` with respect to y: dy · (1 −
 * (y / c)²).
 */
function uncapped(dy: tf.Tensor2D, y: tf.Tensor2D, cap: number | null): tf.Tensor2D {
  if (cap === null) return dy;
  const share = y.mul<tf.Tensor2D>(1 / cap);
  return dy.sub(dy.mul(share).mul(share));
}

/** Splits the rows of a matrix [rows, n] into blocks of equal size, each [rows / blocks, n]. */
function cutIntoBlocks(x: tf.Tensor2D, blocks: number): tf.Tensor2D[] {
  if (blocks === 1) return [x];
  const [rows, width] = [x.shape[0] / blocks, x.shape[1]];
  const parts = tf.split(x.reshape<tf.Tensor3D>([blocks, rows, width]), blocks);
  return parts.map((part) => part.reshape([rows, width]));
}

function joinBlocks<T extends tf.Tensor>(blocks: readonly T[]): T {
  const [only] = blocks;
  return only && blocks.length === 1 ? only : tf.concat<T>([...blocks]);
}

function asColumn(x: tf.Tensor1D): tf.Tensor2D {
  return x.reshape([-1, 1]);
}

/**
 * Computes Σ x · y of each row, [rows, n] → [rows], with a gradient by x alone. The gradient of tfjs' own sum would
 * allocate as many ones as x has elements.
 */
function rowProducts(x: tf.Tensor2D, y: tf.Tensor2D): tf.Tensor1D {
  return withGradient([x], (input) => ({
    value: input.mul(y).sum<tf.Tensor1D>(-1),
    saved: [y],
    gradient: (dy, y) => asColumn(dy).mul(y),
  }));
}
