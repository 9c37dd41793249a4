import { cholesky, solveCholesky, solveLower } from '../../../linalg/cholesky.ts';
import { dot } from '../../../linalg/matmul.ts';
import { zeros, type Matrix } from '../../../linalg/matrix.ts';
import { nelderMead } from './nelder-mead.ts';

export interface Hyperparameters {
  /** One a dimension, in units of the inputs. */
  readonly lengthScales: readonly number[];
  readonly signalVariance: number;
  /** Of an observation, in squared units of the (standardised) outputs. */
  readonly noiseVariance: number;
  /** Of the functions of two different tasks, in [0, 1]; where there are contexts, of two in the same one. Default 1. */
  readonly taskCorrelation?: number;
  /** Difference of two tasks' contexts at which their correlation is e^(−1/2) of that. */
  readonly contextScale?: number;
}

/** What is known of observations beside point and value; each list but the contexts has one entry an observation. */
export interface ObservationTraits {
  /** The task that each is of; predictions are for {@link TARGET_TASK}. Default: all are of that one. */
  readonly tasks?: readonly number[];
  /** What is known of every task, one entry a task, by its number: the nearer two of them are, the more alike are their functions. */
  readonly contexts?: readonly number[];
  /** How many times the noise variance each has. Default 1. */
  readonly noiseScales?: readonly number[];
}

/** The task that a process predicts. */
export const TARGET_TASK = 0;

export interface Prediction {
  readonly mean: number;
  /** Of the function itself, observation noise not included. */
  readonly variance: number;
}

/** Matérn kernel with ν = 5/2 (Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 4.17). */
export function matern52(
  x: readonly number[],
  y: readonly number[],
  { lengthScales, signalVariance }: Hyperparameters,
): number {
  let square = 0;
  for (let i = 0; i < x.length; i++) square += ((x[i]! - y[i]!) / lengthScales[i]!) ** 2;
  const r = Math.sqrt(5 * square);
  return signalVariance * (1 + r + (r * r) / 3) * Math.exp(-r);
}

/**
 * Regression with a zero-mean Gaussian process (Rasmussen and Williams, algorithm 2.1). Several tasks share what they
 * have in common by the kernel k(x, x') · (ρ + (1 − ρ) δ), δ = 1 for one and the same task: each function is a common
 * one of variance ρσ² and one of its own of (1 − ρ)σ² (intrinsic coregionalization with one correlation: Bonilla, Chai
 * and Williams, NeurIPS 2007; for transfer in Bayesian optimization: Swersky, Snoek and Adams, NeurIPS 2013). Where the
 * tasks' contexts c are known, what they share falls with their distance, ρ · exp(−½ (c − c')² / s²) (a kernel of
 * contexts: Krause and Ong, Contextual Gaussian process bandit optimization, NeurIPS 2011).
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
   * @param inputs points, best scaled to the unit box
   * @param outputs their values, best standardised
   * @throws RangeError where the covariance is not positive definite (repeated points without noise)
   */
  constructor(
    inputs: readonly (readonly number[])[],
    outputs: readonly number[],
    hyperparameters: Hyperparameters,
    traits: ObservationTraits = {},
  ) {
    const shareOf = sharing(hyperparameters, traits);
    const factor = cholesky(covariance(inputs, hyperparameters, { ...traits, shareOf }));
    if (!factor)
      throw new RangeError(`covariance of ${inputs.length} points is not positive definite: noise is too small`);
    const y = Float64Array.from(outputs);
    this.inputs = inputs;
    this.hyperparameters = hyperparameters;
    this.#shares = Float64Array.from(inputs, (_, i) => shareOf(traits.tasks?.[i] ?? TARGET_TASK, TARGET_TASK));
    this.#factor = factor;
    this.#weights = solveCholesky(factor, y);
    let logDeterminant = 0;
    for (let i = 0; i < y.length; i++) logDeterminant += 2 * Math.log(factor.data[i * y.length + i]!);
    this.logMarginalLikelihood = -0.5 * (dot(y, this.#weights) + logDeterminant + y.length * Math.log(2 * Math.PI));
  }

  /** Of the target task's function. */
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

export interface FitOptions extends ObservationTraits {
  /** One length scale a dimension (automatic relevance determination) instead of one for all. Default false. */
  readonly ard?: boolean;
}

/** A hyperparameter's transform θ: where it is looked for, its normal prior, and the values of the first grid. */
interface Coordinate {
  readonly bounds: readonly [number, number];
  readonly center: number;
  readonly width: number;
  readonly grid: readonly number[];
}

const logs = (...values: readonly number[]): number[] => values.map((value) => Math.log(value));
const logit = (share: number): number => Math.log(share / (1 - share));

/** Length scales are in units of the box, variances of standardised outputs (natural logarithms). */
const LENGTH: Coordinate = {
  bounds: [Math.log(0.08), Math.log(4)],
  center: Math.log(0.5),
  width: 1,
  grid: logs(0.15, 0.3, 0.6, 1.2, 2.4),
};
const SIGNAL: Coordinate = { bounds: [Math.log(0.05), Math.log(20)], center: 0, width: 1.5, grid: [0] };
const NOISE: Coordinate = {
  bounds: [Math.log(1e-6), Math.log(0.5)],
  center: Math.log(1e-3),
  width: 3,
  grid: logs(1e-5, 1e-3, 1e-2, 0.1),
};
/** Logit. Tasks of one fleet are probably alike. */
const CORRELATION: Coordinate = {
  bounds: [logit(0.01), logit(0.995)],
  center: logit(0.8),
  width: 1.5,
  grid: [logit(0.4), logit(0.9)],
};

/** Of contexts that are logarithms of ratios: tasks that differ by half are strangers, or not; the fleet says. */
const CONTEXT: Coordinate = {
  bounds: [Math.log(0.05), Math.log(5)],
  center: Math.log(0.4),
  width: 1,
  grid: logs(0.2, 0.8),
};

/**
 * Fits hyperparameters by maximizing the marginal likelihood times weak log-normal priors (a length scale around half
 * the box, a signal around the outputs' variance, little noise), without which the few points of a search fit anything:
 * the best of a small grid, refined by Nelder–Mead. The correlation of tasks is fitted where there are several, and the
 * scale of their contexts where these are known.
 * @param inputs in the unit box
 * @param outputs standardised
 */
export function fitGaussianProcess(
  inputs: readonly (readonly number[])[],
  outputs: readonly number[],
  { ard = false, ...traits }: FitOptions = {},
): GaussianProcess {
  const dimensions = inputs[0]!.length;
  const lengths = ard ? dimensions : 1;
  const related = new Set(traits.tasks).size > 1;
  const inContext = related && traits.contexts !== undefined;
  const coordinates = [
    ...new Array<Coordinate>(lengths).fill(LENGTH),
    SIGNAL,
    NOISE,
    ...(related ? [CORRELATION] : []),
    ...(inContext ? [CONTEXT] : []),
  ];
  const processOf = (theta: readonly number[]): GaussianProcess => {
    const hyperparameters: Hyperparameters = {
      lengthScales: Array.from({ length: dimensions }, (_, i) => Math.exp(theta[ard ? i : 0]!)),
      signalVariance: Math.exp(theta[lengths]!),
      noiseVariance: Math.exp(theta[lengths + 1]!),
      ...(related && { taskCorrelation: 1 / (1 + Math.exp(-theta[lengths + 2]!)) }),
      ...(inContext && { contextScale: Math.exp(theta[lengths + 3]!) }),
    };
    return new GaussianProcess(inputs, outputs, hyperparameters, traits);
  };
  const objective = (theta: readonly number[]): number => negativeLogPosterior(processOf, coordinates, theta);
  const start = bestOfGrid(objective, coordinates, lengths);
  const bounds = coordinates.map((coordinate) => coordinate.bounds);
  const { point } = nelderMead(objective, start, { bounds, tolerance: 1e-6, maxIterations: 80 });
  return processOf(point);
}

function negativeLogPosterior(
  processOf: (theta: readonly number[]) => GaussianProcess,
  coordinates: readonly Coordinate[],
  theta: readonly number[],
): number {
  const prior = coordinates.reduce((sum, { center, width }, i) => sum + 0.5 * ((theta[i]! - center) / width) ** 2, 0);
  try {
    return prior - processOf(theta).logMarginalLikelihood;
  } catch (error) {
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

/** All combinations of the coordinates' grids; the length scales are equal there. */
function bestOfGrid(
  objective: (theta: readonly number[]) => number,
  coordinates: readonly Coordinate[],
  lengths: number,
): number[] {
  let thetas: number[][] = LENGTH.grid.map((length) => new Array<number>(lengths).fill(length));
  for (const { grid } of coordinates.slice(lengths))
    thetas = thetas.flatMap((theta) => grid.map((value) => [...theta, value]));
  const values = thetas.map(objective);
  return thetas[values.indexOf(Math.min(...values))]!;
}

/** What the functions of two observations' tasks share. */
type Sharing = (task: number, other: number) => number;

function sharing({ taskCorrelation = 1, contextScale = 1 }: Hyperparameters, { contexts }: ObservationTraits): Sharing {
  return (task, other) => {
    if (task === other) return 1;
    if (!contexts) return taskCorrelation;
    return taskCorrelation * Math.exp(-0.5 * ((contexts[task]! - contexts[other]!) / contextScale) ** 2);
  };
}

function covariance(
  inputs: readonly (readonly number[])[],
  hyperparameters: Hyperparameters,
  { tasks, noiseScales, shareOf }: Pick<ObservationTraits, 'tasks' | 'noiseScales'> & { readonly shareOf: Sharing },
): Matrix {
  const { noiseVariance } = hyperparameters;
  const taskOf = (i: number): number => tasks?.[i] ?? TARGET_TASK;
  const n = inputs.length;
  const k = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const share = shareOf(taskOf(i), taskOf(j));
      k.data[i * n + j] = share === 0 ? 0 : share * matern52(inputs[i]!, inputs[j]!, hyperparameters);
    }
    k.data[i * n + i]! += noiseVariance * (noiseScales?.[i] ?? 1);
  }
  return k;
}
