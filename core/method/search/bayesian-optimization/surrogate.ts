import { fitGaussianProcess, TARGET_TASK, type GaussianProcess } from './gaussian-process.ts';
import type { Point, Space } from './space.ts';

export interface Observation {
  readonly point: Point;
  readonly value: number;
  /** How many times the noise variance of an ordinary observation this one has. Default 1. */
  readonly noiseScale?: number;
}

export interface SurrogateOptions {
  readonly space: Space;
  /** Of the function that is to be minimized. */
  readonly observations: readonly Observation[];
  /** Of functions like it, a list each, in the same units. */
  readonly others?: readonly (readonly Observation[])[];
  /** What is known of each of them, and first of the function itself: those near to it are the more alike. */
  readonly contexts?: readonly number[];
  /** A length scale for every coordinate. Default false. */
  readonly ard?: boolean;
}

/** A Gaussian process of the unit box, fitted to standardised values. */
export interface Surrogate {
  readonly process: GaussianProcess;
  /** One of the process' units in units of the values. */
  readonly deviation: number;
  /** Observed points of the function itself, in the unit box. */
  readonly observed: readonly Point[];
}

/**
 * Fits the model of a function to its observations and to those of others that are like it.
 * @throws RangeError where there are no observations at all, or one is not finite: the process cannot learn from it
 */
export function fitSurrogate({ space, observations, others = [], contexts, ard = false }: SurrogateOptions): Surrogate {
  const tasks = [observations, ...others];
  const all = tasks.flatMap((list, i) => list.map((observation) => ({ ...observation, task: TARGET_TASK + i })));
  if (all.length === 0) throw new RangeError('there are no observations to fit a process to');
  for (const { point, value } of all) {
    if (!Number.isFinite(value))
      throw new RangeError(`value at (${point.join(', ')}) is ${value}, expected a finite number`);
  }
  const { mean, deviation } = standardization(all.map(({ value }) => value));
  const inputs = all.map(({ point }) => space.toUnit(point));
  const outputs = all.map(({ value }) => (value - mean) / deviation);
  const process = fitGaussianProcess(inputs, outputs, {
    ard,
    tasks: all.map(({ task }) => task),
    ...(contexts && { contexts }),
    noiseScales: all.map(({ noiseScale = 1 }) => noiseScale),
  });
  return { process, deviation, observed: inputs.slice(0, observations.length) };
}

function standardization(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: variance > 0 ? Math.sqrt(variance) : 1 };
}
