import * as tf from '@tensorflow/tfjs';
import { withGradient } from '../custom-gradient.ts';
import { joinGradients, joinQueries, queriesOf, seenBy, type AttentionBlock } from './attention-blocks.ts';

/** Queries, keys and values of all tokens, packed into bins. */
interface AttentionInputs {
  /** Scaled queries, [bins, heads, binLength, headDim]. */
  readonly q: tf.Tensor4D;
  /** Keys, [bins, keyValueHeads, binLength, headDim]. */
  readonly k: tf.Tensor4D;
  /** Values, [bins, keyValueHeads, binLength, headDim]. */
  readonly v: tf.Tensor4D;
}

/**
 * Grouped-query attention: softmax(cap(q kᵀ) + mask) v, with cap(s) = c · tanh(s / c) if there is a cap. The gradient
 * is written out. With probabilities p and output o, dS = p · (do vᵀ − Σ(do · o)), where the sum is over the head's
 * features rather than over all keys (Dao et al. 2022, FlashAttention, appendix B). Each block of queries is computed
 * separately, with the keys before its end.
 * @param masks mask of each block, from `attentionMasks`
 * @returns the output in the shape of q
 */
export function attend(inputs: AttentionInputs, masks: readonly tf.Tensor4D[], cap: number | null): tf.Tensor4D {
  return withGradient([inputs.q, inputs.k, inputs.v], (q, k, v) => {
    const computed = masks.map((mask, block) => attendBlock(blockOf({ q, k, v }, masks.length, block), mask, cap));
    const value = joinQueries(
      computed.map(({ output }) => output),
      q.shape,
    );
    const gradient = (dy: tf.Tensor4D, q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, ...kept: tf.Tensor4D[]) =>
      attentionGradients(dy, { q, k, v }, { kept: unflatten(kept, masks.length), cap });
    return { value, saved: [q, k, v, ...flatten(computed)], gradient };
  });
}

/** Results of the forward pass for one block of queries that its gradients need. */
interface AttendedBlock {
  /** Attention probabilities, [bins, keyValueHeads, groups · blockLength, places up to the block's end]. */
  readonly probabilities: tf.Tensor4D;
  /** Attention's output in the shape of the block's queries. */
  readonly output: tf.Tensor4D;
  /** Scores after capping; absent if the architecture does not cap scores. */
  readonly scores?: tf.Tensor4D | undefined;
}

function flatten(blocks: readonly AttendedBlock[]): tf.Tensor4D[] {
  return blocks.flatMap(({ probabilities, output, scores }) => [probabilities, output, ...(scores ? [scores] : [])]);
}

function unflatten(tensors: readonly tf.Tensor4D[], blocks: number): AttendedBlock[] {
  const each = tensors.length / blocks;
  return Array.from({ length: blocks }, (_, block) => {
    const [probabilities, output, scores] = tensors.slice(block * each, (block + 1) * each);
    return { probabilities: probabilities!, output: output!, scores };
  });
}

function blockOf({ q, k, v }: AttentionInputs, blocks: number, block: number): AttentionBlock {
  const sizes = { keyHeads: k.shape[1], blocks, block };
  return { q: queriesOf(q, sizes), k: seenBy(sizes, k), v: seenBy(sizes, v) };
}

function attendBlock({ q, k, v }: AttentionBlock, mask: tf.Tensor4D, cap: number | null): AttendedBlock {
  const scores = cappedScores(q, k, cap);
  const probabilities = maskedSoftmax(scores, mask);
  const output = tf.matMul<tf.Tensor4D>(probabilities, v);
  return cap === null ? { probabilities, output } : { probabilities, output, scores };
}

interface KeptBlocks {
  readonly kept: readonly AttendedBlock[];
  readonly cap: number | null;
}

/** Computes the gradients of attention by its queries, keys and values. */
function attentionGradients(dy: tf.Tensor4D, inputs: AttentionInputs, { kept, cap }: KeptBlocks): tf.Tensor[] {
  const sizes = { keyHeads: inputs.k.shape[1], blocks: kept.length };
  const gradients = kept.map((attended, block) => {
    return blockGradients(queriesOf(dy, { ...sizes, block }), blockOf(inputs, kept.length, block), { attended, cap });
  });
  return joinGradients(gradients, { q: inputs.q.shape, k: inputs.k.shape });
}

interface KeptBlock {
  readonly attended: AttendedBlock;
  readonly cap: number | null;
}

function blockGradients(dy: tf.Tensor4D, { q, k, v }: AttentionBlock, { attended, cap }: KeptBlock): AttentionBlock {
  const { probabilities, output, scores } = attended;
  const dProbabilities = tf.matMul(dy, v, false, true);
  const dCapped = probabilities.mul<tf.Tensor4D>(dProbabilities.sub(dy.mul(output).sum(-1, true)));
  const slope = scores && cap !== null ? tf.sub(1, scores.mul(1 / cap).square()) : null;
  const dScores = slope ? dCapped.mul<tf.Tensor4D>(slope) : dCapped;
  return {
    q: tf.matMul(dScores, k),
    k: tf.matMul(dScores, q, true, false),
    v: tf.matMul(probabilities, dy, true, false),
  };
}

/** Computes the attention scores q kᵀ. With a cap c, each score s becomes c · tanh(s / c). */
export function cappedScores(q: tf.Tensor4D, k: tf.Tensor4D, cap: number | null): tf.Tensor4D {
  const scores = tf.matMul<tf.Tensor4D>(q, k, false, true);
  return cap === null ? scores : tf.tanh(scores.mul(1 / cap)).mul(cap);
}

/** Applies softmax to masked scores. All heads share the mask, so their scores are reshaped to line up with it. */
function maskedSoftmax(scores: tf.Tensor4D, mask: tf.Tensor4D): tf.Tensor4D {
  const [bins, keyHeads, queries, keys] = scores.shape;
  const length = mask.shape[2];
  const byHead = scores.reshape<tf.Tensor4D>([bins, (keyHeads * queries) / length, length, keys]);
  return tf.softmax(byHead.add(mask)).reshape(scores.shape);
}
