import * as tf from '@tensorflow/tfjs';
import { withGradient } from './custom-gradient.ts';

/** Magnitude and norms of a DoRA module, in addition to LoRA's factors; both are [outFeatures]. */
export interface DoraTensors {
  readonly magnitude: tf.Tensor1D;
  /** Squared length ‖W‖² of each row of the base's weight W, [outFeatures], which training does not change. */
  readonly weightSquares: tf.Tensor1D;
}

interface AdaptedWeight {
  /** Weight W of the base, [outFeatures, inFeatures]. */
  readonly weight: tf.Tensor2D;
  /** LoRA's factor A, [rank, inFeatures]. */
  readonly a: tf.Tensor2D;
  /** LoRA's factor B, [outFeatures, rank]. */
  readonly b: tf.Tensor2D;
  readonly scaling: tf.Tensor;
}

/**
 * Scales outputs as in DoRA (Liu et al. 2024): y = x (W + s · B A)ᵀ is multiplied by m / ‖W + s · B A‖, where the norm
 * is that of the row of each output. The norm is treated as a constant (section 4.3 of that paper; PEFT does the same):
 * y receives dy · m / ‖·‖, and m receives Σ dy · y / ‖·‖ over rows.
 * @param y [rows, outFeatures]
 */
export function scaledByMagnitude(y: tf.Tensor2D, dora: DoraTensors, adapted: AdaptedWeight): tf.Tensor2D {
  return withGradient([y, dora.magnitude], (output, magnitude) => {
    // tfjs records no operations within a custom gradient, so the factors count as constants here.
    const norms = rowNorms(adapted, dora.weightSquares);
    const factors = magnitude.div<tf.Tensor1D>(norms);
    return {
      value: output.mul<tf.Tensor2D>(factors),
      saved: [output, factors, norms],
      gradient: (dy, output, factors, norms) => [dy.mul(factors), dy.mul(output).sum(0).div(norms)],
    };
  });
}

/** DoRA's factor of each output, m / ‖W + s · B A‖ by rows, [outFeatures], which is the same for all tokens. */
export function doraFactors({ magnitude, weightSquares }: DoraTensors, adapted: AdaptedWeight): tf.Tensor1D {
  return magnitude.div(rowNorms(adapted, weightSquares));
}

/**
 * Norm of each row of the adapted weight, ‖W + s · B A‖, [outFeatures], computed as √(‖W‖² + 2 ⟨W, s · B A⟩ + ‖s · B
 * A‖²). The products are only as wide as the rank: the term ⟨W, s · B A⟩ of a row is the inner product of the same rows
 * of B and W (s · A)ᵀ, and the term ‖s · B A‖² is that of the same rows of B and B (s² · A Aᵀ). The merged matrix is
 * never formed and, since ‖W‖² is given, W is read only once. (Measured for the forward pass of four layers of
 * SmolLM2-135M's shape with one row of 32 tokens, smallest time of seven runs on a busy machine: LoRA takes 9 ms, DoRA
 * 12 to 13 ms, and DoRA with the merged matrix 16 ms and more.)
 */
function rowNorms({ weight, a, b, scaling }: AdaptedWeight, weightSquares: tf.Tensor1D): tf.Tensor1D {
  const scaled = a.mul<tf.Tensor2D>(scaling);
  const across = b
    .mul(tf.matMul(weight, scaled, false, true))
    .sum(-1)
    .mul(2);
  const own = b.mul(tf.matMul(b, tf.matMul(scaled, scaled, false, true))).sum(-1);
  return weightSquares.add(across).add(own).sqrt() as tf.Tensor1D;
}
