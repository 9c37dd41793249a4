import { cholesky, solveCholesky, solveLower } from '../linalg/cholesky.ts';
import { dot } from '../linalg/matmul.ts';
import { zeros, type Matrix } from '../linalg/matrix.ts';
import { nelderMead } from './nelder-mead.ts';

export interface Hyperparameters {
  /** One a dimension, in units of the inputs. */
  readonly lengthScales: readonly number[];
  readonly signalVariance: number;
  /** Of an observation, in squared units of the (standardised) outputs. */
  readonly noiseVariance: number;
}

export interface Prediction {
  readonly mean: number;
  /** Of the function itself, observation noise not included. */
  readonly variance: number;
}

/** Matérn kernel with ν = 5/2 (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 4.17). */
export function matern52(x: readonly number[], y: readonly number[], { lengthScales, signalVariance }: Hyperparameters): number {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += ((x[i]! - y[i]!) / lengthScales[i]!) ** 2;
  const r = Math.sqrt(5 * square);
  return signalVariance * (1 + r + (r * r) / 3) * Math.exp(-r);
}

/** Regression with a zero-mean Gaussian process (Rasmussen and Williams, algorithm 2.1). */
export class GaussianProcess {
  readonly inputs: readonly (readonly number[])[];
  readonly hyperparameters: Hyperparameters;
  /** ln p(y | X, hyperparameters) */
  readonly logMarginalLikelihood: number;
  readonly #factor: Matrix;
  readonly #weights: Float64Array;

  /**
   * @param inputs points, best scaled to the unit box
   * @param outputs their values, best standardised
   * @throws RangeError where the covariance is not positive definite (repeated points without noise)
   */
  constructor(inputs: readonly (readonly number[])[], outputs: readonly number[], hyperparameters: Hyperparameters) {
    const factor = cholesky(covariance(inputs, hyperparameters));
    if (!factor) throw new RangeError(`covariance of ${inputs.length} points is not positive definite: noise is too small`);
    const y = Float64Array.from(outputs);
    this.inputs = inputs;
    this.hyperparameters = hyperparameters;
    this.#factor = factor;
    this.#weights = solveCholesky(factor, y);
    let logDeterminant = 0;
    for (let i = 0; i < y.length; i++) logDeterminant += 2 * Math.log(factor.data[i * y.length + i]!);
    this.logMarginalLikelihood = -0.5 * (dot(y, this.#weights) + logDeterminant + y.length * Math.log(2 * Math.PI));
  }

  predict(point: readonly number[]): Prediction {
    const cross = Float64Array.from(this.inputs, (input) => matern52(input, point, this.hyperparameters));
    const explained = solveLower(this.#factor, cross);
    const variance = this.hyperparameters.signalVariance - dot(explained, explained);
    return { mean: dot(cross, this.#weights), variance: Math.max(0, variance) };
  }
}

export interface FitOptions {
  /** One length scale a dimension (automatic relevance determination) instead of one for all. Default false. */
  readonly ard?: boolean;
}

/** Where hyperparameters are looked for: length scales of the unit box, variances of standardised outputs (natural log). */
const LOG_LENGTH: readonly [number, number] = [Math.log(0.08), Math.log(4)];
const LOG_SIGNAL: readonly [number, number] = [Math.log(0.05), Math.log(20)];
const LOG_NOISE: readonly [number, number] = [Math.log(1e-6), Math.log(0.5)];

/**
 * Fits hyperparameters by maximising the marginal likelihood times weak log-normal priors (a length scale around half
 * the box, a signal around the outputs' variance, little noise), without which the few points of a search fit anything:
 * the best of a small grid, refined by Nelder–Mead.
 * @param inputs in the unit box
 * @param outputs standardised
 */
export function fitGaussianProcess(
  inputs: readonly (readonly number[])[],
  outputs: readonly number[],
  { ard = false }: FitOptions = {},
): GaussianProcess {
  const dimensions = inputs[0]!.length;
  const lengths = ard ? dimensions : 1;
  const hyperparametersOf = (theta: readonly number[]): Hyperparameters => ({
    lengthScales: Array.from({ length: dimensions }, (_, i) => Math.exp(theta[ard ? i : 0]!)),
    signalVariance: Math.exp(theta[lengths]!),
    noiseVariance: Math.exp(theta[lengths + 1]!),
  });
  const objective = (theta: readonly number[]) => negativeLogPosterior(inputs, outputs, hyperparametersOf(theta), theta, lengths);
  const start = bestOfGrid(objective, lengths);
  const bounds = [...new Array<typeof LOG_LENGTH>(lengths).fill(LOG_LENGTH), LOG_SIGNAL, LOG_NOISE];
  const { point } = nelderMead(objective, start, { bounds, tolerance: 1e-6, maxIterations: 80 });
  return new GaussianProcess(inputs, outputs, hyperparametersOf(point));
}

function negativeLogPosterior(
  inputs: readonly (readonly number[])[],
  outputs: readonly number[],
  hyperparameters: Hyperparameters,
  theta: readonly number[],
  lengths: number,
): number {
  const priorOf = (value: number, centre: number, width: number) => 0.5 * ((value - centre) / width) ** 2;
  let prior = priorOf(theta[lengths]!, 0, 1.5) + priorOf(theta[lengths + 1]!, Math.log(1e-3), 3);
  for (let i = 0; i < lengths; i++) prior += priorOf(theta[i]!, Math.log(0.5), 1);
  try {
    return prior - new GaussianProcess(inputs, outputs, hyperparameters).logMarginalLikelihood;
  } catch (error) {
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

function bestOfGrid(objective: (theta: readonly number[]) => number, lengths: number): number[] {
  let best: { theta: number[]; value: number } = { theta: [], value: Infinity };
  for (const length of [0.15, 0.3, 0.6, 1.2, 2.4]) {
    for (const noise of [1e-5, 1e-3, 1e-2, 0.1]) {
      const theta = [...new Array<number>(lengths).fill(Math.log(length)), 0, Math.log(noise)];
      const value = objective(theta);
      if (best.theta.length === 0 || value < best.value) best = { theta, value };
    }
  }
  return best.theta;
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
