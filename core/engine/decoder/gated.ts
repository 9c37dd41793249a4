import * as tf from '@tensorflow/tfjs';
import type { Architecture } from '../../models/architecture/architecture-declaration.ts';
import { withGradient } from './custom-gradient.ts';

/** Activation function f of a gated layer, with its derivative. */
interface Activation {
  /** Computes f(x), and a tensor from which the derivative is computed later. */
  readonly value: (x: tf.Tensor) => { readonly value: tf.Tensor; readonly saved: tf.Tensor };
  readonly slope: (x: tf.Tensor, saved: tf.Tensor) => tf.Tensor;
}

/** Activation function SiLU, x · σ(x), with slope σ(x) · (1 + x · (1 − σ(x))). */
const silu: Activation = {
  value: (x) => {
    const sigmoid = tf.sigmoid(x);
    return { value: x.mul(sigmoid), saved: sigmoid };
  },
  slope: (x, sigmoid) => sigmoid.mul(x.mul(tf.sub(1, sigmoid)).add(1)),
};

const [GELU_SCALE, GELU_CUBIC] = [Math.sqrt(2 / Math.PI), 0.044715];

/**
 * Activation function GELU in its tanh form, ½ x (1 + t) with t = tanh(√(2/π) (x + 0.044715 x³)) (Hendrycks & Gimpel
 * 2016).
 */
const geluTanh: Activation = {
  value: (x) => {
    const cubic = x.square().mul(GELU_CUBIC).add(1);
    const tanh = tf.tanh(x.mul(cubic).mul(GELU_SCALE));
    return { value: x.mul(tanh.add(1)).mul(0.5), saved: tanh };
  },
  slope: (x, tanh) => {
    const inner = x
      .square()
      .mul(3 * GELU_CUBIC)
      .add(1)
      .mul(GELU_SCALE);
    return tanh
      .add(1)
      .add(x.mul(inner).mul(tf.sub(1, tanh.square())))
      .mul(0.5);
  },
};

const ACTIVATIONS: Readonly<Record<Architecture['activation'], Activation>> = { silu, gelu_pytorch_tanh: geluTanh };

/**
 * A gated linear unit, f(gate) · up (Shazeer 2020), with its gradient written out.
 * @param gate [tokens, n]
 * @param up [tokens, n]
 */
export function gated(gate: tf.Tensor2D, up: tf.Tensor2D, activation: Architecture['activation']): tf.Tensor2D {
  const { value: f, slope } = ACTIVATIONS[activation];
  return withGradient([gate, up], (g, u) => {
    const { value, saved } = f(g);
    return {
      value: value.mul<tf.Tensor2D>(u),
      saved: [g, u, value, saved],
      gradient: (dy, g, u, value, saved) => [dy.mul(u).mul(slope(g, saved)), dy.mul(value)],
    };
  });
}
