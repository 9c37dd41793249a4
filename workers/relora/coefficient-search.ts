import type { Adapter } from '../models/adapter.ts';
import { BayesianOptimiser } from './bayesian-optimisation/optimiser.ts';
import type { Coefficients } from './coefficients.ts';

export const COPY: Coefficients = { alpha: 1, beta: 0 };
export const REVERT: Coefficients = { alpha: 1, beta: -1 };
export const NOTHING: Coefficients = { alpha: 0, beta: 0 };

export interface SearchOptions {
  /** Points evaluated at most, the three starting points included. Default 12. */
  readonly evaluations?: number;
  /** Default [0, 1.5]. */
  readonly alphaBounds?: readonly [number, number];
  /** Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
  /** See the optimiser's option of the same name. */
  readonly minimumImprovement?: number;
}

/** One evaluated point of the search. */
export interface SearchEvaluation extends Coefficients {
  readonly loss: number;
  readonly ms: number;
}

export interface SearchTask {
  readonly options: SearchOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Evaluations of an earlier, interrupted search; they are not repeated. */
  readonly history: readonly SearchEvaluation[];
  fuse(coefficients: Coefficients): Adapter;
  loss(adapter: Adapter): Promise<number>;
  onEvaluation(evaluation: SearchEvaluation, budget: number): Promise<void>;
  now(): number;
}

/**
 * Bayesian optimisation of alpha and beta on the search rows' loss, started from copy, revert and nothing, so that the
 * result is never worse than these on the same rows.
 * @returns the evaluated point of the smallest loss, the earlier of equals
 */
export async function searchCoefficients(task: SearchTask): Promise<SearchEvaluation> {
  const { evaluations: budget = 12 } = task.options;
  const history = [...task.history];
  const optimiser = createOptimiser(task, Math.max(1, budget));
  for (let point = optimiser.ask(); point; point = optimiser.ask()) {
    task.signal.throwIfAborted();
    const [alpha, beta] = point as [number, number];
    const start = task.now();
    const loss = await task.loss(task.fuse({ alpha, beta }));
    const evaluation = { alpha, beta, loss, ms: task.now() - start };
    optimiser.tell(point, loss);
    history.push(evaluation);
    await task.onEvaluation(evaluation, budget);
  }
  return history.reduce((best, next) => (next.loss < best.loss ? next : best));
}

function createOptimiser({ options, seed, history }: SearchTask, maxEvaluations: number): BayesianOptimiser {
  const { alphaBounds = [0, 1.5], betaBounds = [-1.25, 0.5], minimumImprovement } = options;
  return new BayesianOptimiser(
    {
      bounds: [alphaBounds, betaBounds],
      startingPoints: [COPY, REVERT, NOTHING].map(({ alpha, beta }) => [alpha, beta]),
      maxEvaluations,
      seed,
      ...(minimumImprovement === undefined ? {} : { minimumImprovement }),
    },
    history.map(({ alpha, beta, loss }) => ({ point: [alpha, beta], value: loss })),
  );
}
