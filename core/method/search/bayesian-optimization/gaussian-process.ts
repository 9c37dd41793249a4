import { cholesky, solveCholesky, solveLower } from '../../../linalg/cholesky.ts';
import { dot } from '../../../linalg/matmul.ts';
import { zeros, type Matrix } from '../../../linalg/matrix.ts';

export interface Hyperparameters {
  /** Length scale of the kernel, in units of the inputs. */
  readonly lengthScale: number;
  readonly signalVariance: number;
  /** Variance of an observation's noise, in squared units of the (standardized) outputs. */
  readonly noiseVariance: number;
  /** Correlation of the functions of two tasks, in [0, 1]; if tasks have contexts, of two with equal ones. Default 1. */
  readonly taskCorrelation?: number;
  /** Difference of two tasks' contexts at which their correlation has fallen to e^(−1/2) of `taskCorrelation`. */
  readonly contextScale?: number;
}

/** What is known about observations beside their points and values. */
export interface ObservationTraits {
  /** Number of the task that each observation belongs to. By default all belong to {@link PREDICTED_TASK}. */
  readonly tasks?: readonly number[];
  /** Context of each task, indexed by the task's number. The nearer two contexts, the more similar the tasks' functions. */
  readonly contexts?: readonly number[];
  /** For each observation, the multiple of the noise variance that it has. Default 1. */
  readonly noiseScales?: readonly number[];
}

/** Number of the task whose function a process predicts. */
export const PREDICTED_TASK = 0;

interface Prediction {
  readonly mean: number;
  /** Variance of the function itself, without observation noise. */
  readonly variance: number;
}

/** Matérn kernel with ν = 5/2 (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 4.17). */
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

/**
 * Regression with a zero-mean Gaussian process (Rasmussen and Williams, algorithm 2.1). Several tasks share what they have
 * in common through the kernel k(x, x') · (ρ + (1 − ρ) δ), where δ is 1 within a task and 0 otherwise: each function is the
 * sum of a common one of variance ρσ² and one of its own of variance (1 − ρ)σ² (intrinsic coregionalization with a single
 * correlation: Bonilla, Chai and Williams, NeurIPS 2007; for transfer in Bayesian optimization: Swersky, Snoek and Adams,
 * NeurIPS 2013). If the tasks have contexts c, their correlation falls with the distance, ρ · exp(−½ (c − c')² / s²) (a
 * kernel of contexts: Krause and Ong, Contextual Gaussian process bandit optimization, NeurIPS 2011).
 */
export class GaussianProcess {
  readonly inputs: readonly (readonly number[])[];
  readonly hyperparameters: Hyperparameters;
  /** ln p(y | X, hyperparameters) */
  readonly logMarginalLikelihood: number;
  readonly #shares: Float64Array;
  readonly #factor: Matrix;
  readonly #weights: Float64Array;

  /**
   * @param inputs points, preferably scaled to the unit box
   * @param outputs values at these points, preferably standardized
   * @throws RangeError if the covariance is not positive definite, as with repeated points and no noise
   */
  constructor(
    inputs: readonly (readonly number[])[],
    outputs: readonly number[],
    hyperparameters: Hyperparameters,
    traits: ObservationTraits = {},
  ) {
    const correlation = correlationOf(hyperparameters, traits);
    const factor = cholesky(covariance(inputs, hyperparameters, { ...traits, correlation }));
    if (!factor)
      throw new RangeError(`covariance of ${inputs.length} points is not positive definite: noise is too small`);
    const y = Float64Array.from(outputs);
    this.inputs = inputs;
    this.hyperparameters = hyperparameters;
    this.#shares = Float64Array.from(inputs, (_, i) =>
      correlation(traits.tasks?.[i] ?? PREDICTED_TASK, PREDICTED_TASK),
    );
    this.#factor = factor;
    this.#weights = solveCholesky(factor, y);
    let logDeterminant = 0;
    for (let i = 0; i < y.length; i++) logDeterminant += 2 * Math.log(factor.data[i * y.length + i]!);
    this.logMarginalLikelihood = -0.5 * (dot(y, this.#weights) + logDeterminant + y.length * Math.log(2 * Math.PI));
  }

  /** Predicts the function of {@link PREDICTED_TASK} at a point. */
  predict(point: readonly number[]): Prediction {
    const cross = Float64Array.from(this.inputs, (input, i) => {
      const share = this.#shares[i]!;
      return share === 0 ? 0 : share * matern52(input, point, this.hyperparameters);
    });
    const explained = solveLower(this.#factor, cross);
    return {
      mean: dot(cross, this.#weights),
      variance: Math.max(0, this.hyperparameters.signalVariance - dot(explained, explained)),
    };
  }
}

/** Correlation of the functions of two tasks, given by their numbers. */
type TaskCorrelation = (task: number, other: number) => number;

function correlationOf(
  { taskCorrelation = 1, contextScale = 1 }: Hyperparameters,
  { contexts }: ObservationTraits,
): TaskCorrelation {
  return (task, other) => {
    if (task === other) return 1;
    if (!contexts) return taskCorrelation;
    return taskCorrelation * Math.exp(-0.5 * ((contexts[task]! - contexts[other]!) / contextScale) ** 2);
  };
}

function covariance(
  inputs: readonly (readonly number[])[],
  hyperparameters: Hyperparameters,
  traits: Pick<ObservationTraits, 'tasks' | 'noiseScales'> & { readonly correlation: TaskCorrelation },
): Matrix {
  const { tasks, noiseScales, correlation } = traits;
  const taskOf = (i: number): number => tasks?.[i] ?? PREDICTED_TASK;
  const n = inputs.length;
  const k = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const share = correlation(taskOf(i), taskOf(j));
      k.data[i * n + j] = share === 0 ? 0 : share * matern52(inputs[i]!, inputs[j]!, hyperparameters);
    }
    k.data[i * n + i]! += hyperparameters.noiseVariance * (noiseScales?.[i] ?? 1);
  }
  return k;
}
