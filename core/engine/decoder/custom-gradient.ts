import * as tf from '@tensorflow/tfjs';

/** What a forward pass gives: its value, what the gradient needs of it, and the gradient by each input. */
interface Differentiated<T extends tf.Tensor, S extends tf.Tensor[]> {
  readonly value: T;
  /** Tensors kept until the gradient is computed, which gets them after `dy`. Default: none. */
  readonly saved?: readonly [...S];
  readonly gradient: (dy: T, ...saved: S) => tf.Tensor | tf.Tensor[];
}

/** Computes `forward` of the inputs, with a gradient that is written by hand: tfjs' `customGrad`, typed. */
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
