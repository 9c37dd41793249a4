import * as tf from '@tensorflow/tfjs';

/**
 * SwiGLU, silu(gate) · up with silu(g) = g · σ(g) (Shazeer 2020), with its gradient written out:
 * silu'(g) = σ(g) + silu(g) · (1 − σ(g)).
 * @param gate [rows, n]
 * @param up [rows, n]
 */
export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  const activate = tf.customGrad((...args) => {
    const [g, u, save] = args as [tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
    const sigmoid = tf.sigmoid(g);
    const silu = g.mul(sigmoid);
    save([u, sigmoid, silu]);
    return { value: silu.mul(u), gradFunc: swigluGradient };
  });
  return activate(gate, up) as tf.Tensor2D;
}

function swigluGradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] {
  const [up, sigmoid, silu] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
  const slope = sigmoid.add(silu.mul(tf.sub(1, sigmoid)));
  return [dy.mul(up).mul(slope), dy.mul(silu)];
}
