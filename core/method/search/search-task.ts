import type { Adapter } from '../../models/lora/adapter.ts';
import { ALPHA_BOUNDS, BETA_BOUNDS, type Coefficients } from '../fusion/coefficients.ts';
import { Space } from './bayesian-optimization/space.ts';
import type { SearchRecord } from './observations.ts';

export interface SearchOptions {
  /** Interval of β. Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
  /** Number of points that are measured. Default 12. */
  readonly evaluations?: number;
  /** Whether copy and revert are measured first. Default true. */
  readonly startsFromKnown?: boolean;
}

/** Evaluation of a search with its duration. */
export interface SearchEvaluation extends SearchRecord {
  /** Duration in milliseconds, including fusion. */
  readonly ms: number;
}

/** Everything that a search needs. */
export interface SearchTask {
  readonly options: SearchOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Evaluations from before the search or from before its interruption. They are not repeated. */
  readonly history: readonly SearchEvaluation[];
  /** Number of search rows. */
  readonly rows: number;
  fuse(coefficients: Coefficients): Adapter | Promise<Adapter>;
  /** Mean completion loss on the search rows, in nats a token. */
  loss(adapter: Adapter): Promise<number>;
  /** Called after every evaluation that is not in the history. */
  onEvaluation(evaluation: SearchEvaluation): Promise<void>;
  now(): number;
}

/** Region of coefficients that is searched: alpha is the first coordinate, beta the second. */
export function searchSpace({ betaBounds = BETA_BOUNDS }: SearchOptions = {}): Space {
  return new Space([ALPHA_BOUNDS, betaBounds]);
}
