import { fitGaussianProcess } from './fit-gaussian-process.ts';
import type { GaussianProcess } from './gaussian-process.ts';
import type { Point, Space } from './space.ts';

export interface SearchObservation {
  readonly point: Point;
  readonly value: number;
}

export interface SurrogateOptions {
  readonly space: Space;
  /** Observations of the function that is minimized. */
  readonly observations: readonly SearchObservation[];
}

/** Gaussian process over the unit box, fitted to standardized values. */
export interface Surrogate {
  readonly process: GaussianProcess;
  /** Mean of the values, by which the process's outputs are shifted. */
  readonly mean: number;
  /** Standard deviation of the values, by which the process's outputs are scaled. */
  readonly deviation: number;
}

/**
 * Fits a model of a function to its observations.
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

/** Mean and standard deviation; the deviation is 1 if all values are equal. */
function standardization(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: variance > 0 ? Math.sqrt(variance) : 1 };
}
