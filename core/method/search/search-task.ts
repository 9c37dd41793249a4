import type { Adapter } from '../../models/lora/adapter.ts';
import type { JobOptions } from '../../options/job-options.ts';
import { Random } from '../../statistics/random.ts';
import { ALPHA_BOUNDS, BETA_BOUNDS, type Coefficients } from '../fusion/coefficients.ts';
import { Space } from './bayesian-optimization/space.ts';
import type { SearchRecord } from './relative-losses.ts';

export interface SearchOptions {
  /** Interval of β. Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
  /** Most points that are measured, copy included. Default 12. */
  readonly evaluations?: number;
  /**
   * Share of the loss that one training step is assumed to remove. The search stops when its next point promises less than
   * training would gain in the same time. With 0, the whole budget of evaluations is spent. Default {@link STEP_GAIN}.
   */
  readonly stepGain?: number;
  /** Rows of one training step. Default 16. */
  readonly batchSize?: number;
  /**
   * Whether copy, revert or nothing wins if it is within one standard error of the smallest loss. Default true. With false,
   * as in the paper, the smallest loss wins.
   */
  readonly oneStandardError?: boolean;
  /**
   * With `named` (the default), the search measures copy, revert and nothing first. With `space_filling`, it measures points
   * that fill the space evenly, and has no favorites.
   */
  readonly start?: JobOptions['search_start'];
  /** Smallest distance of two points, with both ranges scaled to 1. Default: as good as none. */
  readonly spacing?: number;
}

/** Default of {@link SearchOptions.stepGain}, measured on the demo family (docs/method/search.md). */
export const STEP_GAIN = 0.01;

/** One evaluation: the loss of a point on the rows that it was measured on before, if any, and some more. */
export interface SearchEvaluation extends SearchRecord {
  /** Duration in milliseconds, including fusion. */
  readonly ms: number;
  /** Summed completion loss of each row that was added, in the search's order, in nats. */
  readonly rowLosses: readonly number[];
}

/** Everything that a search needs. */
export interface SearchTask {
  readonly options: SearchOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Evaluations of a comparison before the search, or of the search before it was interrupted. They are not repeated. */
  readonly history: readonly SearchEvaluation[];
  /** Completion tokens of every search row. */
  readonly rowTokens: readonly number[];
  fuse(coefficients: Coefficients): Adapter | Promise<Adapter>;
  /** For each adapter, the summed completion losses, in nats, of the search rows with these indices, in the order of the indices. */
  rowLosses(adapters: readonly Adapter[], rows: readonly number[]): Promise<readonly ArrayLike<number>[]>;
  /** Called after every evaluation that is not in the history. */
  onEvaluation(evaluation: SearchEvaluation, budget: number): Promise<void>;
  /** The current time in milliseconds. */
  now(): number;
}

/** The region of coefficients that is searched: alpha is the first coordinate, beta the second. */
export function searchSpace({ betaBounds = BETA_BOUNDS }: SearchOptions = {}): Space {
  return new Space([ALPHA_BOUNDS, betaBounds]);
}

/** Indices of the search rows in the order in which they are measured. */
export function searchOrder(seed: number, rows: number): number[] {
  return Random.fromSeed(seed).shuffle(Array.from({ length: rows }, (_, row) => row));
}
