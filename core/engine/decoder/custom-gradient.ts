import * as tf from '@tensorflow/tfjs';

/**
 * Result of a forward pass with a handwritten gradient: its value, the tensors that the gradient needs, and a function
 * that computes the gradient by each input.
 */
interface Differentiated<T extends tf.Tensor, S extends tf.Tensor[]> {
  readonly value: T;
  /** Tensors that are kept for `gradient`, which receives them after `dy`. Default: none. */
  readonly saved?: readonly [...S];
  readonly gradient: (dy: T, ...saved: S) => tf.Tensor | tf.Tensor[];
}

/** Computes `forward` of the inputs with a handwritten gradient: a typed form of tfjs' `customGrad`. */
export function withGradient<I extends tf.Tensor[], S extends tf.Tensor[], T extends tf.Tensor>(
  inputs: readonly [...I],
  forward: (...inputs: I) => Differentiated<T, S>,
): T {
  const compute = tf.customGrad<T>((...args) => {
    const { value, saved = [], gradient } = forward(...(args.slice(0, -1) as I));
    (args.at(-1) as tf.GradSaveFunc)([...saved]);
    return { value, gradFunc: (dy, kept) => gradient(dy, ...(kept as S)) };
  });
  return compute(...inputs);
}
