import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';
import { withGradient } from '../custom-gradient.ts';

/** Where the tokens of the flat batch lie in attention's bins. */
export interface BinIndices {
  /** [bins, binLength] int32 the token at each place; where there is none, any token */
  readonly binTokens: tf.Tensor2D;
  /** [tokens] int32 the place of each token, or the first of several: bin · binLength + offset */
  readonly tokenPlaces: tf.Tensor1D;
  /** Given where gradients are computed and tokens lie at several places, because sequences share beginnings. */
  readonly repeats?: Repeats;
}

/** The further places of tokens that lie at several. */
export interface Repeats {
  /** [repeats] int32 the token of each further place */
  readonly tokens: tf.Tensor1D;
  /** [repeats] int32 those places */
  readonly places: tf.Tensor1D;
  /** [tokens, 1] 1 / number of places of each token */
  readonly shares: tf.Tensor2D;
}

/**
 * Moves tokens to their places; the gradient is the sum over a token's places. A place without a token repeats one, and
 * gives no gradient back.
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
 * Moves what lies at the tokens' places back to the tokens. All places of a token compute the same, so each takes its
 * share of the gradient. A place without a token gets the gradient of another; such places attend only to each other, so
 * that this gradient ends in {@link toBins}.
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
