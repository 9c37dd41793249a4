import type { Preference, Strategy } from '../../options/job-options.ts';
import type { FusionOptions } from '../fusion/fusion.ts';
import type { Gate, GateMeasurement, GateTarget, judge, MetricValue, Verdict } from '../gate/readiness-gate.ts';
import type { RegularizationOptions } from '../regularization/regularization.ts';
import type { SearchEvaluation, SearchOptions } from '../search/search-task.ts';
import type { Candidate, CandidateRecord, RungName } from './candidate.ts';
import type { WatchRecord } from './watch-log.ts';

export interface LadderOptions {
  readonly gate: Gate;
  /** The old adapter on the old base, measured on the gate rows; null if the gate does not need it (`needsOldVersion`). */
  readonly old: GateMeasurement | null;
  /** Largest number of training steps, shared by the rungs that train. */
  readonly steps: number;
  readonly evaluateEvery: number;
  /** Number of steps to continue after the first pass, for a version that is better by more than noise. Default 0. */
  readonly refineSteps?: number;
  /**
   * Number of evaluations without an improvement after which `auto` ends fine-tuning, so that the remaining steps are
   * left to training from scratch. 0 never ends it early. Default 0.
   */
  readonly patience?: number;
  /**
   * After an inconclusive candidate, the run searches or trains only if another look at the gate rows certifies a version that is as
   * good as the old one with more than this probability. Default 0: in any case.
   */
  readonly leastPower?: number;
  /** What `auto` prefers. Default `old_behavior`. */
  readonly prefer?: Preference;
  /** Regularization of `relora`, `relora-paper` and `auto`. `warm-start` and `scratch` have none. */
  readonly regularization?: RegularizationOptions;
  readonly search?: SearchOptions;
  /** What decides on a candidate. Simulations of many jobs keep its answers. Default: `judge`. */
  readonly judge?: typeof judge;
  /** How far the rank of a fused adapter may grow. Default: not at all. */
  readonly fusion?: FusionOptions;
}

/** What became of one rung. Plain JSON. */
export interface RungReport {
  readonly rung: RungName;
  /** `skipped`: there was nothing to try. `not_run`: an earlier rung had passed, or the run ended before. */
  readonly result: Verdict | 'skipped' | 'not_run';
  /** Why the rung was skipped or not run. */
  readonly reason: string | null;
  /** Milliseconds spent on the rung, evaluation and publication included. */
  readonly ms: number;
  /** The rung's best candidate (`isPreferred`); null if it has none. */
  readonly candidate: CandidateRecord | null;
}

/** What became of each rung so far, with every candidate that was judged. It is told whole, so that the last one says all. Plain JSON. */
export interface LadderProgress {
  /** The rung that the run is on; null between two of them and at the end. */
  readonly current: RungName | null;
  /** A report for every rung of the strategy, in order. Until the run has ended, `not_run` means that nothing was judged on it yet. */
  readonly rungs: readonly RungReport[];
  /** In the order in which they were judged. */
  readonly candidates: readonly CandidateRecord[];
  readonly publishedId: string | null;
  readonly ended: boolean;
}

/** Everything that an interrupted run needs to resume without repeating an evaluation. Plain JSON. */
export interface LadderState {
  readonly strategy: Strategy;
  /** The current rung; the rungs before it are over. */
  readonly rung: RungName;
  readonly rungMs: Readonly<Partial<Record<RungName, number>>>;
  readonly skipped: Readonly<Partial<Record<RungName, string>>>;
  readonly candidates: readonly CandidateRecord[];
  readonly watched: readonly WatchRecord[];
  /** The gate's metric on the search rows of candidates that it told apart, by their ids. */
  readonly compared: Readonly<Record<string, MetricValue>>;
  /** Why the run is over although nothing is published and rungs are left; null if it is not. */
  readonly held: string | null;
  readonly searchHistory: readonly SearchEvaluation[];
  readonly bestId: string | null;
  /** Gate rows of the best candidate, as numbers. */
  readonly bestOutcomes: { readonly values: readonly number[]; readonly tokens: readonly number[] } | null;
  readonly publishedId: string | null;
  readonly elapsedMs: number;
}

export interface LadderOutcome {
  readonly ready: boolean;
  readonly target: GateTarget;
  /** The best candidate, whether or not it passed; null if nothing was judged. It is published if the run is ready. */
  readonly best: Candidate | null;
  /** A report for every rung of the strategy, in order. */
  readonly rungs: readonly RungReport[];
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
