import type { Preference, Strategy } from '../../options/job-options.ts';
import type { FusionOptions } from '../fusion/fusion.ts';
import type { Gate, GateMeasurement, GateTarget, judge, MetricValue, Verdict } from '../gate/readiness-gate.ts';
import type { RegularizationOptions } from '../regularization/regularization.ts';
import type { SearchEvaluation, SearchOptions } from '../search/search-task.ts';
import type { Candidate, CandidateRecord, RungName } from './candidate.ts';
import type { WatchRecord } from './watch-log.ts';

export interface LadderOptions {
  readonly gate: Gate;
  /**
   * The old adapter on the old base, measured on the gate rows; null if the gate does not need it (`needsOldVersion`).
   */
  readonly old: GateMeasurement | null;
  /** Largest number of training steps, shared by the rungs that train. */
  readonly steps: number;
  readonly evaluateEvery: number;
  /** Number of steps to continue after the first pass, for a version that is better beyond noise. Default 0. */
  readonly refineSteps?: number;
  /**
   * Number of evaluations without an improvement after which `auto` ends fine-tuning, which leaves the remaining steps
   * to training from scratch. 0 never ends it early. Default 0.
   */
  readonly patience?: number;
  /**
   * Probability that makes another look worthwhile: after an inconclusive candidate, the run searches or trains only if
   * the next look certifies a version that is as good as the old one with more than this probability. Default 0:
   * always.
   */
  readonly leastPower?: number;
  /** Preference of `auto`. Default `old_behavior`. */
  readonly prefer?: Preference;
  /** Regularization of `relora`, `relora-paper` and `auto`. `warm-start` and `scratch` have none. */
  readonly regularization?: RegularizationOptions;
  readonly search?: SearchOptions;
  /** Function that judges a candidate. Simulations of many jobs pass one that caches its answers. Default: `judge`. */
  readonly judge?: typeof judge;
  /** Limits of a fused adapter's rank. Default: the adapter keeps the old rank. */
  readonly fusion?: FusionOptions;
}

/** Result of one rung. Plain JSON. */
export interface RungReport {
  readonly rung: RungName;
  /** `skipped`: there was nothing to try. `not_run`: an earlier rung passed, or the run ended before this one. */
  readonly result: Verdict | 'skipped' | 'not_run';
  /** Reason for which the rung was skipped or not run. */
  readonly reason: string | null;
  /** Milliseconds spent on the rung, including evaluation and publication. */
  readonly ms: number;
  /** The rung's best candidate (`isPreferred`); null if it has none. */
  readonly candidate: CandidateRecord | null;
}

/**
 * Results of all rungs so far and every judged candidate. Each report is complete, so observers need only the latest.
 * Plain JSON.
 */
export interface LadderProgress {
  /** Current rung; null between two rungs and at the end. */
  readonly current: RungName | null;
  /**
   * Report for every rung of the strategy, in order. Until the run has ended, `not_run` means that no candidate of the
   * rung has been judged yet.
   */
  readonly rungs: readonly RungReport[];
  /** Candidates in the order in which they were judged. */
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
  /** Gate's metric on the search rows by candidate id, measured to compare candidates whose looks were curtailed. */
  readonly compared: Readonly<Record<string, MetricValue>>;
  /** Reason for which the run ended with nothing published and rungs left; null if it did not. */
  readonly held: string | null;
  readonly searchHistory: readonly SearchEvaluation[];
  readonly bestId: string | null;
  /** Outcomes of the best candidate's gate rows, as plain arrays. */
  readonly bestOutcomes: { readonly values: readonly number[]; readonly tokens: readonly number[] } | null;
  readonly publishedId: string | null;
  readonly elapsedMs: number;
}

export interface LadderOutcome {
  readonly ready: boolean;
  readonly target: GateTarget;
  /** Best candidate, whether or not it passed; null if none was judged. It is published if the run is ready. */
  readonly best: Candidate | null;
  /** A report for every rung of the strategy, in order. */
  readonly rungs: readonly RungReport[];
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
