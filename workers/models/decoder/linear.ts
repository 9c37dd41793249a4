import * as tf from '@tensorflow/tfjs';

/** The factors of an adapted layer as tensors; `scaling` has one element. */
export interface LoraTensors {
  /** [rank, inFeatures] */
  readonly a: tf.Tensor2D;
  /** [outFeatures, rank] */
  readonly b: tf.Tensor2D;
  readonly scaling: tf.Tensor;
}

/**
 * A frozen linear layer with an optional LoRA update (Hu et al. 2021): y = x Wᵀ + s · x Aᵀ Bᵀ. Of two ways to compute
 * it the one with fewer multiplications is taken: the update merged into the weights, or kept beside them.
 * @param x [rows, inFeatures]
 * @param weight [outFeatures, inFeatures]
 * @returns [rows, outFeatures]
 */
export function linear(x: tf.Tensor2D, weight: tf.Tensor2D, lora?: LoraTensors): tf.Tensor2D {
  if (!lora) return tf.matMul(x, weight, false, true);
  const [outFeatures, inFeatures] = weight.shape;
  const merging = outFeatures * inFeatures < x.shape[0] * (outFeatures + inFeatures);
  return merging ? mergedLinear(x, weight, lora) : branchedLinear(x, weight, lora);
}

/** y = x W'ᵀ with W' = W + s · B A. */
export function mergedLinear(x: tf.Tensor2D, weight: tf.Tensor2D, { a, b, scaling }: LoraTensors): tf.Tensor2D {
  const apply = tf.customGrad((...args) => {
    const [input, down, up, save] = args as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
    const merged = tf.matMul(up, down.mul(scaling) as tf.Tensor2D).add(weight) as tf.Tensor2D;
    save([input, down, up, merged]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, a, b, merged] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const dx = tf.matMul(dy as tf.Tensor2D, merged);
      return [dx, ...factorGradients(dy as tf.Tensor2D, { x, a, b, scaling })];
    };
    return { value: tf.matMul(input, merged, false, true), gradFunc };
  });
  return apply(x, a, b) as tf.Tensor2D;
}

/** y = x Wᵀ + (s · x Aᵀ) Bᵀ. */
export function branchedLinear(x: tf.Tensor2D, weight: tf.Tensor2D, { a, b, scaling }: LoraTensors): tf.Tensor2D {
  const apply = tf.customGrad((...args) => {
    const [input, down, up, save] = args as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
    const hidden = tf.matMul(input, down, false, true).mul(scaling) as tf.Tensor2D;
    save([input, down, up]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [x, a, b] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const scaled = tf.matMul(dy as tf.Tensor2D, b).mul(scaling) as tf.Tensor2D;
      const dx = tf.matMul(dy as tf.Tensor2D, weight).add(tf.matMul(scaled, a));
      return [dx, ...factorGradients(dy as tf.Tensor2D, { x, a, b, scaling })];
    };
    return { value: tf.matMul(input, weight, false, true).add(tf.matMul(hidden, up, false, true)), gradFunc };
  });
  return apply(x, a, b) as tf.Tensor2D;
}

/** dA = (s · dy B)ᵀ x and dB = dyᵀ (s · x Aᵀ). */
function factorGradients(dy: tf.Tensor2D, { x, a, b, scaling }: LoraTensors & { x: tf.Tensor2D }): tf.Tensor[] {
  const dHidden = tf.matMul(dy, b).mul(scaling) as tf.Tensor2D;
  const hidden = tf.matMul(x, a, false, true).mul(scaling) as tf.Tensor2D;
  return [tf.matMul(dHidden, x, true, false), tf.matMul(dy, hidden, true, false)];
}
