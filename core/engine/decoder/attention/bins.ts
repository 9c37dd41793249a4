import * as tf from '@tensorflow/tfjs';
import { runFused } from '../../eager/fused-ops.ts';

/** Where the tokens of the flat batch lie in attention's bins. */
export interface BinIndices {
  /** [bins, binLength] int32 the token at each place; any where there is none */
  readonly binTokens: tf.Tensor2D;
  /** [tokens] int32 place of each token, the first of several, bin · binLength + offset */
  readonly tokenPlaces: tf.Tensor1D;
  /** Where gradients are asked for and tokens lie at several places: beginnings that sequences share. */
  readonly repeats?: Repeats;
}

export interface Repeats {
  /** [repeats] int32 the token of each further place */
  readonly tokens: tf.Tensor1D;
  /** [repeats] int32 those places */
  readonly places: tf.Tensor1D;
  /** [tokens, 1] 1 / number of places of each token */
  readonly shares: tf.Tensor2D;
}

/**
 * Tokens to their places; the gradient is the sum over places. A place without a token repeats one, and no gradient comes
 * back from it.
 * @param x [tokens, n]
 * @returns [bins, binLength, n]
 */
export function toBins(x: tf.Tensor2D, indices: BinIndices): tf.Tensor3D {
  const move = tf.customGrad((input) => ({
    value: gatherBins(input as tf.Tensor2D, indices),
    gradFunc: (dy) => sumOverPlaces(dy as tf.Tensor3D, indices),
  }));
  return move(x) as tf.Tensor3D;
}

/**
 * Back: what lies at the tokens' places. All places of a token compute the same, so that each takes its share of the
 * gradient. The gradient of a place without a token is another's; such places attend only to each other, so that it ends
 * in {@link toBins}.
 * @param y [bins, binLength, n]
 * @returns [tokens, n]
 */
export function fromBins(y: tf.Tensor3D, indices: BinIndices): tf.Tensor2D {
  const move = tf.customGrad((input) => ({
    value: gatherPlaces(input as tf.Tensor3D, indices.tokenPlaces),
    gradFunc: (dy) => {
      const { repeats } = indices;
      return gatherBins((repeats ? dy.mul(repeats.shares) : dy) as tf.Tensor2D, indices);
    },
  }));
  return move(y) as tf.Tensor2D;
}

function gatherBins(x: tf.Tensor2D, { binTokens }: BinIndices): tf.Tensor3D {
  return tf.gather(x, binTokens) as unknown as tf.Tensor3D;
}

function gatherPlaces(y: tf.Tensor3D, places: tf.Tensor1D): tf.Tensor2D {
  return tf.gather(y.reshape([-1, y.shape[2]]), places) as tf.Tensor2D;
}

function sumOverPlaces(dy: tf.Tensor3D, { tokenPlaces, repeats }: BinIndices): tf.Tensor {
  const first = gatherPlaces(dy, tokenPlaces);
  if (!repeats) return first;
  const updates = gatherPlaces(dy, repeats.places);
  const call = { inputs: { x: first, indices: repeats.tokens, updates } };
  return runFused('ReadaptScatterAdd', call, () => {
    return [first.add(tf.scatterND(repeats.tokens.reshape([-1, 1]), updates, first.shape))];
  })[0]!;
}
