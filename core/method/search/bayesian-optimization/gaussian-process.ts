import { cholesky, solveCholesky, solveLower } from '../../../linalg/cholesky.ts';
import { dot } from '../../../linalg/matmul.ts';
import { zeros, type Matrix } from '../../../linalg/matrix.ts';

export interface Hyperparameters {
  /** Length scale of the kernel: the distance over which the function changes much, in units of the inputs. */
  readonly lengthScale: number;
  readonly signalVariance: number;
  /** Variance of the noise in an observed value, in squared units of the outputs. */
  readonly noiseVariance: number;
}

interface Prediction {
  readonly mean: number;
  /** Variance of the function's value at the point, without the noise of an observation. */
  readonly variance: number;
}

/**
 * Covariance of the function's values at two points by the Matérn kernel with ν = 5/2 (Rasmussen and Williams, Gaussian
 * Processes for Machine Learning, eq. 4.17).
 */
export function matern52(
  x: readonly number[],
  y: readonly number[],
  { lengthScale, signalVariance }: Hyperparameters,
): number {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += ((x[i]! - y[i]!) / lengthScale) ** 2;
  const r = Math.sqrt(5 * square);
  return signalVariance * (1 + r + (r * r) / 3) * Math.exp(-r);
}

/** Regression with a zero-mean Gaussian process (Rasmussen and Williams, algorithm 2.1). */
export class GaussianProcess {
  readonly inputs: readonly (readonly number[])[];
  readonly hyperparameters: Hyperparameters;
  /** Logarithm of the probability density of the observed outputs, given the inputs and the hyperparameters. */
  readonly logMarginalLikelihood: number;
  readonly #factor: Matrix;
  readonly #weights: Float64Array;

  /**
   * @param inputs observed points, preferably scaled to the unit box
   * @param outputs values at these points, preferably standardized
   * @throws RangeError if the covariance matrix is not positive definite, as with repeated points and no noise
   */
  constructor(inputs: readonly (readonly number[])[], outputs: readonly number[], hyperparameters: Hyperparameters) {
    const factor = cholesky(covariance(inputs, hyperparameters));
    if (!factor)
      throw new RangeError(`covariance of ${inputs.length} points is not positive definite: noise is too small`);
    const y = Float64Array.from(outputs);
    this.inputs = inputs;
    this.hyperparameters = hyperparameters;
    this.#factor = factor;
    this.#weights = solveCholesky(factor, y);
    let logDeterminant = 0;
    for (let i = 0; i < y.length; i++) logDeterminant += 2 * Math.log(factor.data[i * y.length + i]!);
    this.logMarginalLikelihood = -0.5 * (dot(y, this.#weights) + logDeterminant + y.length * Math.log(2 * Math.PI));
  }

  /** Predicts the value of the function at a point, with the variance of this prediction. */
  predict(point: readonly number[]): Prediction {
    const cross = Float64Array.from(this.inputs, (input) => matern52(input, point, this.hyperparameters));
    const explained = solveLower(this.#factor, cross);
    return {
      mean: dot(cross, this.#weights),
      variance: Math.max(0, this.hyperparameters.signalVariance - dot(explained, explained)),
    };
  }
}

function covariance(inputs: readonly (readonly number[])[], hyperparameters: Hyperparameters): Matrix {
  const n = inputs.length;
  const k = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) k.data[i * n + j] = matern52(inputs[i]!, inputs[j]!, hyperparameters);
    k.data[i * n + i]! += hyperparameters.noiseVariance;
  }
  return k;
}
