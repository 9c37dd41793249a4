import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';
import { withGradient } from '../custom-gradient.ts';

/** Mapping between the tokens of the flat batch and the places of attention's bins. */
export interface BinIndices {
  /** [bins, binLength] int32 index of the token at each place; an arbitrary token's at an empty place. */
  readonly binTokens: tf.Tensor2D;
  /** [tokens] int32 place of each token, bin · binLength + offset; the first place of a token with several. */
  readonly tokenPlaces: tf.Tensor1D;
  /** Further places of tokens with several. Only present if gradients are computed and sequences share beginnings. */
  readonly repeats?: Repeats;
}

/** Places of tokens that stand in several sequences with the same beginning, apart from each token's first place. */
export interface Repeats {
  /** [repeats] int32 index of the token at each further place */
  readonly tokens: tf.Tensor1D;
  /** [repeats] int32 further places, bin · binLength + offset */
  readonly places: tf.Tensor1D;
  /** [tokens, 1] for each token, 1 / the number of its places */
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
 * Copies values at the tokens' places back to the tokens. All places of a token compute the same, so each takes its
 * share of the gradient. An empty place gets the gradient of another; such places attend only to each other, so that
 * this gradient ends in {@link toBins}.
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
