import * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../../../models/config/model-config.ts';
import { cappedScores } from './attention.ts';
import { HIDDEN } from './attention-mask.ts';

/** Cached keys and values of each row's earlier tokens. */
export interface SeenInCache {
  /** Cached keys, [rows, keyValueHeads, slots, headDim]. */
  readonly keys: tf.Tensor4D;
  /** Cached values, [rows, keyValueHeads, slots, headDim]. */
  readonly values: tf.Tensor4D;
  /** Attention mask of the cached tokens, [rows, 1, 1, slots], from {@link cacheMask}. */
  readonly mask: tf.Tensor4D;
}

/**
 * Makes the mask of cached tokens, [rows, 1, 1, slots]: 0 if a row's new token attends to the slot's token, else {@link
 * HIDDEN}. A new token attends to the tokens before it; with a window, only to the last `window` − 1 of them. Slots
 * that are not filled yet are always masked.
 * @param slots [slots] int32 position of each slot's token
 * @param positions [rows] int32 position of each row's new token
 */
export function cacheMask(slots: tf.Tensor1D, positions: tf.Tensor1D, window: number | null): tf.Tensor4D {
  const at = slots.reshape<tf.Tensor4D>([1, 1, 1, -1]);
  const now = positions.reshape<tf.Tensor4D>([-1, 1, 1, 1]);
  const before = tf.less<tf.Tensor4D>(at, now);
  const seen =
    window === null
      ? before
      : tf.logicalAnd(before, tf.less(now, at.add(tf.scalar(window, 'int32')))).reshape(before.shape);
  return seen.cast<tf.Tensor4D>('float32').sub(1).mul(-HIDDEN);
}

/**
 * Attention of one new token per row to the row's earlier tokens and itself. The cache is not copied: the softmax over
 * earlier keys and the new key is computed in two parts with a common maximum, without concatenating the arrays
 * (Milakov & Gimelshein 2018, online softmax).
 * @param tokens queries [rows, heads · headDim], scaled; keys and values [rows, keyValueHeads · headDim]
 * @returns the output in the shape of the queries
 */
export function attendToCache(
  { numHeads, numKeyValueHeads: keyHeads, headDim, attentionSoftcap }: ModelConfig,
  tokens: Record<'q' | 'k' | 'v', tf.Tensor2D>,
  { keys, values, mask }: SeenInCache,
): tf.Tensor2D {
  const cap = attentionSoftcap ?? null;
  const byHead = (x: tf.Tensor2D, of: number) => x.reshape<tf.Tensor4D>([-1, keyHeads, of, headDim]);
  const [q, k, v] = [byHead(tokens.q, numHeads / keyHeads), byHead(tokens.k, 1), byHead(tokens.v, 1)];
  const earlier = cappedScores(q, keys, cap).add<tf.Tensor4D>(mask);
  const own = cappedScores(q, k, cap);
  const largest = tf.maximum<tf.Tensor4D>(tf.max(earlier, -1, true), own);
  const earlierWeights = tf.exp(earlier.sub<tf.Tensor4D>(largest));
  const ownWeight = tf.exp(own.sub<tf.Tensor4D>(largest));
  const sum = tf.matMul(earlierWeights, values).add<tf.Tensor4D>(ownWeight.mul(v));
  const total = earlierWeights.sum(-1, true).add<tf.Tensor4D>(ownWeight);
  return sum.div<tf.Tensor4D>(total).reshape(tokens.q.shape);
}
