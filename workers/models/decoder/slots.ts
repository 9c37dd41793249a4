import * as tf from '@tensorflow/tfjs';

/** Where the tokens of the flat batch lie in attention's slots; the inverse of each other on real tokens. */
export interface SlotIndices {
  /** [slots, slotLength] int32 the token at each place; any where there is none */
  readonly slotTokens: tf.Tensor2D;
  /** [tokens] int32 place of each token, slot · slotLength + offset */
  readonly tokenSlots: tf.Tensor1D;
}

/**
 * Tokens to their places. A place without a token repeats one, and no gradient comes back from it.
 * @param x [tokens, n]
 * @returns [slots, slotLength, n]
 */
export function toSlots(x: tf.Tensor2D, indices: SlotIndices): tf.Tensor3D {
  const move = tf.customGrad((input) => ({
    value: gatherSlots(input as tf.Tensor2D, indices),
    gradFunc: (dy) => gatherTokens(dy as tf.Tensor3D, indices),
  }));
  return move(x) as tf.Tensor3D;
}

/**
 * Back: what lies at the tokens' places. The gradient of a place without a token is another's; such places attend only
 * to each other, so that it ends in {@link toSlots}.
 * @param y [slots, slotLength, n]
 * @returns [tokens, n]
 */
export function fromSlots(y: tf.Tensor3D, indices: SlotIndices): tf.Tensor2D {
  const move = tf.customGrad((input) => ({
    value: gatherTokens(input as tf.Tensor3D, indices),
    gradFunc: (dy) => gatherSlots(dy as tf.Tensor2D, indices),
  }));
  return move(y) as tf.Tensor2D;
}

function gatherSlots(x: tf.Tensor2D, { slotTokens }: SlotIndices): tf.Tensor3D {
  return tf.gather(x, slotTokens) as unknown as tf.Tensor3D;
}

function gatherTokens(y: tf.Tensor3D, { tokenSlots }: SlotIndices): tf.Tensor2D {
  return tf.gather(y.reshape([-1, y.shape[2]]), tokenSlots) as tf.Tensor2D;
}
