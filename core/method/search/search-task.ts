import type { Adapter } from '../../models/lora/adapter.ts';
import { ALPHA_BOUNDS, BETA_BOUNDS, type Coefficients } from '../fusion/coefficients.ts';
import { Space } from './bayesian-optimization/space.ts';
import type { SearchRecord } from './observations.ts';

export interface SearchOptions {
  /** Interval of the fusion coefficient β within which the search proposes points. Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
  /** Number of points that the search measures, its budget. Default 12. */
  readonly evaluations?: number;
  /** Whether the search measures copy and revert before other points. Default true. */
  readonly startsFromKnown?: boolean;
}

/** Loss that a search has measured at one pair of fusion coefficients, with the time it took. Plain JSON. */
export interface SearchEvaluation extends SearchRecord {
  /** Milliseconds for fusing the adapter and measuring its loss. */
  readonly ms: number;
}

/** Data and functions that a search for fusion coefficients gets from its caller. */
export interface SearchTask {
  readonly options: SearchOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
  /** Evaluations made before this search or before its interruption. Points among them are not measured again. */
  readonly history: readonly SearchEvaluation[];
  /** Number of search rows on which losses are measured. */
  readonly rows: number;
  fuse(coefficients: Coefficients): Adapter | Promise<Adapter>;
  /** Measures the mean loss of the completions in the search rows, in nats a token. */
  loss(adapter: Adapter): Promise<number>;
  /** Called with each evaluation that this search makes, but not with those in `history`. */
  onEvaluation(evaluation: SearchEvaluation): Promise<void>;
  now(): number;
}

/** Returns the space in which fusion coefficients are searched: α is the first coordinate, β the second. */
export function searchSpace({ betaBounds = BETA_BOUNDS }: SearchOptions = {}): Space {
  return new Space([ALPHA_BOUNDS, betaBounds]);
}
