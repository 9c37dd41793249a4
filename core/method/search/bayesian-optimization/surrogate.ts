import { fitGaussianProcess } from './fit-gaussian-process.ts';
import type { GaussianProcess } from './gaussian-process.ts';
import type { Point, Space } from './space.ts';

export interface SearchObservation {
  readonly point: Point;
  readonly value: number;
}

export interface SurrogateOptions {
  readonly space: Space;
  /** Points at which the function that is minimized was evaluated, with its values. */
  readonly observations: readonly SearchObservation[];
}

/**
 * Model of a function by a Gaussian process, which sees the points scaled to the unit box and the values standardized.
 */
export interface Surrogate {
  readonly process: GaussianProcess;
  /** Mean of the observed values, to be added to what the process predicts times `deviation`. */
  readonly mean: number;
  /** Standard deviation of the observed values, by which predictions of the process must be multiplied. */
  readonly deviation: number;
}

/**
 * Fits a Gaussian process to the observations of a function.
 * @throws RangeError if there is no observation at all, or if a value is not finite
 */
export function fitSurrogate({ space, observations }: SurrogateOptions): Surrogate {
  if (observations.length === 0)
    throw new RangeError('there are 0 observations, expected at least one to fit a model to');
  for (const { point, value } of observations) {
    if (!Number.isFinite(value))
      throw new RangeError(`value at (${point.join(', ')}) is ${value}, expected a finite number`);
  }
  const { mean, deviation } = standardization(observations.map(({ value }) => value));
  const inputs = observations.map(({ point }) => space.toUnit(point));
  const outputs = observations.map(({ value }) => (value - mean) / deviation);
  return { process: fitGaussianProcess(inputs, outputs), mean, deviation };
}

/**
 * Returns the mean and the standard deviation of values. If all values are equal, the deviation is given as 1, so that
 * one can divide by it.
 */
function standardization(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: variance > 0 ? Math.sqrt(variance) : 1 };
}
