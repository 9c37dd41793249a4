import { GaussianProcess } from './gaussian-process.ts';
import { nelderMead } from './nelder-mead.ts';

/**
 * Settings for fitting one hyperparameter of the Gaussian process: its range, its normal prior and the values tried
 * first, all on a logarithmic scale.
 */
interface Coordinate {
  readonly bounds: readonly [number, number];
  /** Mean of the hyperparameter's normal prior, on a logarithmic scale. */
  readonly center: number;
  /** Standard deviation of the hyperparameter's normal prior, on a logarithmic scale. */
  readonly width: number;
  readonly grid: readonly number[];
}

const logs = (...values: readonly number[]): number[] => values.map((value) => Math.log(value));

/** Settings for fitting the kernel's length scale, in a search space scaled to a box of edge 1. */
const LENGTH: Coordinate = {
  bounds: [Math.log(0.08), Math.log(4)],
  center: Math.log(0.5),
  width: 1,
  grid: logs(0.15, 0.3, 0.6, 1.2, 2.4),
};

/** Settings for fitting the function's variance, as a multiple of the variance of the observed values. */
const SIGNAL: Coordinate = { bounds: [Math.log(0.05), Math.log(20)], center: 0, width: 1.5, grid: [0] };

/** Settings for fitting the variance of the noise in a value, as a multiple of the variance of the observed values. */
const NOISE: Coordinate = {
  bounds: [Math.log(1e-6), Math.log(0.5)],
  center: Math.log(1e-3),
  width: 3,
  grid: logs(1e-5, 1e-3, 1e-2, 0.1),
};

const COORDINATES: readonly Coordinate[] = [LENGTH, SIGNAL, NOISE];

/**
 * Fits a Gaussian process to observations. The hyperparameters maximize the marginal likelihood times weak log-normal
 * priors: a length scale around half the box, a signal around the outputs' variance, little noise. Without priors,
 * almost any hyperparameters would fit the few points of a search. The best point of a coarse grid is refined by
 * Nelder–Mead.
 * @param inputs observed points in the unit box, whose coordinates go from 0 to 1
 * @param outputs values at these points, standardized to a mean of 0 and a variance of 1
 */
export function fitGaussianProcess(
  inputs: readonly (readonly number[])[],
  outputs: readonly number[],
): GaussianProcess {
  const processOf = ([length = 0, signal = 0, noise = 0]: readonly number[]) => {
    const hyperparameters = {
      lengthScale: Math.exp(length),
      signalVariance: Math.exp(signal),
      noiseVariance: Math.exp(noise),
    };
    return new GaussianProcess(inputs, outputs, hyperparameters);
  };
  const objective = (theta: readonly number[]): number => negativeLogPosterior(processOf, theta);
  const bounds = COORDINATES.map((coordinate) => coordinate.bounds);
  const { point } = nelderMead(objective, bestOfGrid(objective), { bounds, tolerance: 1e-6, maxIterations: 80 });
  return processOf(point);
}

/**
 * Returns the negative logarithm of the posterior density of hyperparameters, up to a constant; Infinity if the
 * covariance matrix of the observations is not positive definite.
 */
function negativeLogPosterior(
  processOf: (theta: readonly number[]) => GaussianProcess,
  theta: readonly number[],
): number {
  const prior = COORDINATES.reduce((sum, { center, width }, i) => sum + 0.5 * ((theta[i]! - center) / width) ** 2, 0);
  try {
    return prior - processOf(theta).logMarginalLikelihood;
  } catch (error) {
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

/** Returns the combination of the hyperparameters' grid values at which the objective is smallest. */
function bestOfGrid(objective: (theta: readonly number[]) => number): number[] {
  let thetas: number[][] = [[]];
  for (const { grid } of COORDINATES) thetas = thetas.flatMap((theta) => grid.map((value) => [...theta, value]));
  const ranked = thetas.map((theta) => ({ theta, value: objective(theta) }));
  return ranked.reduce((best, next) => (next.value < best.value ? next : best)).theta;
}
