import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';
import { withGradient } from '../custom-gradient.ts';

/** Mapping between the tokens of the flat batch and the places of attention's bins. */
export interface BinIndices {
  /** Index of the token at each place, [bins, binLength] int32; at an empty place, the index of an arbitrary token. */
  readonly binTokens: tf.Tensor2D;
  /**
   * Place of each token, [tokens] int32, as bin · binLength + offset; for a token with several places, the first one.
   */
  readonly tokenPlaces: tf.Tensor1D;
  /**
   * Second and further places of tokens that have several places. Only present if gradients are computed and sequences
   * share beginnings.
   */
  readonly repeats?: Repeats;
}

/** Second and further places of the tokens that stand in several sequences with the same beginning. */
export interface Repeats {
  /** [repeats] int32 index of the token at each further place */
  readonly tokens: tf.Tensor1D;
  /** [repeats] int32 further places, bin · binLength + offset */
  readonly places: tf.Tensor1D;
  /** Share of each token, 1 divided by the number of its places, [tokens, 1]. */
  readonly shares: tf.Tensor2D;
}

/**
 * Copies tokens to their places; the gradient is the sum over a token's places. An empty place repeats a token and
 * contributes no gradient.
 * @param x [tokens, n]
 * @returns [bins, binLength, n]
 */
export function toBins(x: tf.Tensor2D, indices: BinIndices): tf.Tensor3D {
  return withGradient([x], (input) => ({
    value: gatherBins(input, indices),
    gradient: (dy) => sumOverPlaces(dy, indices),
  }));
}

/**
 * Copies the values at the tokens' places back to the tokens. All places of a token hold the same values, so each place
 * receives its share of the token's gradient. An empty place receives the gradient of an arbitrary token; empty places
 * attend only to each other, so that this gradient ends in {@link toBins}.
 * @param y [bins, binLength, n]
 * @returns [tokens, n]
 */
export function fromBins(y: tf.Tensor3D, indices: BinIndices): tf.Tensor2D {
  const { repeats, tokenPlaces } = indices;
  return withGradient([y], (input) => ({
    value: gatherPlaces(input, tokenPlaces),
    gradient: (dy) => gatherBins(repeats ? dy.mul(repeats.shares) : dy, indices),
  }));
}

function gatherBins(x: tf.Tensor2D, { binTokens }: BinIndices): tf.Tensor3D {
  return tf.gather<tf.Tensor>(x, binTokens) as tf.Tensor3D;
}

function gatherPlaces(y: tf.Tensor3D, places: tf.Tensor1D): tf.Tensor2D {
  return tf.gather(y.reshape<tf.Tensor2D>([-1, y.shape[2]]), places);
}

function sumOverPlaces(dy: tf.Tensor3D, { tokenPlaces, repeats }: BinIndices): tf.Tensor {
  const first = gatherPlaces(dy, tokenPlaces);
  if (!repeats) return first;
  const updates = gatherPlaces(dy, repeats.places);
  const call = { inputs: { x: first, indices: repeats.tokens, updates } };
  const [sum] = runFused('ReadaptScatterAdd', call, (): [tf.Tensor] => {
    return [first.add(tf.scatterND(repeats.tokens.reshape([-1, 1]), updates, first.shape))];
  });
  return sum;
}
