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
   * Measurement of the old adapter, on the old base and the gate rows; null if the gate does not compare with it
   * (`needsOldVersion`).
   */
  readonly old: GateMeasurement | null;
  /** Largest number of training steps of a run. All rungs that train share them. */
  readonly steps: number;
  readonly evaluateEvery: number;
  /**
   * Number of steps for which training goes on after a candidate may be published, in search of one that is better
   * beyond noise. Default 0.
   */
  readonly refineSteps?: number;
  /**
   * Number of evaluations in a row without an improvement after which `auto` ends the fine-tuning of an adapter carried
   * over; training from scratch may use the steps that are left. 0, the default, never ends fine-tuning early.
   */
  readonly patience?: number;
  /**
   * Smallest probability at which another look at the gate rows is worth its cost. After an inconclusive candidate, the
   * run searches and trains only if the next look would certify a version as good as the old one with a probability
   * above this one. With 0, the default, the run always goes on.
   */
  readonly leastPower?: number;
  /**
   * Side that `auto` takes where it cannot keep both the old behavior and the new base's improvements. Default
   * `old_behavior`.
   */
  readonly prefer?: Preference;
  /**
   * Regularization of the fine-tuning under `relora`, `relora-paper` and `auto`. `warm-start` and training from scratch
   * have none.
   */
  readonly regularization?: RegularizationOptions;
  readonly search?: SearchOptions;
  /** Function that judges a candidate. Simulations of many jobs pass one that caches its answers. Default: `judge`. */
  readonly judge?: typeof judge;
  /** Options for fusing, among them the rank of fused adapters. Default: they keep the old adapter's rank. */
  readonly fusion?: FusionOptions;
}

/** Report of one rung: its result, its duration and its best candidate. Plain JSON. */
export interface RungReport {
  readonly rung: RungName;
  /**
   * Verdict of the gate on the rung's best candidate. A rung without a candidate is `skipped` if there was nothing to
   * try, and otherwise `not_run`: an earlier rung passed, or the run ended before this one.
   */
  readonly result: Verdict | 'skipped' | 'not_run';
  /** Reason for which the rung was skipped or not run. */
  readonly reason: string | null;
  /** Milliseconds spent on the rung, including evaluation and publication. */
  readonly ms: number;
  /** Best candidate of the rung by `isPreferred`; null if the gate has judged none of this rung. */
  readonly candidate: CandidateRecord | null;
}

/**
 * Progress of a ladder: reports of all its rungs, and every candidate judged so far. Each report of the progress is
 * complete, so that observers need only the latest. Plain JSON.
 */
export interface LadderProgress {
  /** Rung that runs now; null between two rungs and after the last. */
  readonly current: RungName | null;
  /**
   * Reports of all rungs of the strategy, in the order in which they are tried. Until the run has ended, `not_run` only
   * means that no candidate of the rung has been judged yet.
   */
  readonly rungs: readonly RungReport[];
  /** Candidates judged so far, in the order in which they were judged. */
  readonly candidates: readonly CandidateRecord[];
  readonly publishedId: string | null;
  readonly ended: boolean;
}

/** State from which an interrupted run resumes without repeating a measurement. Plain JSON. */
export interface LadderState {
  readonly strategy: Strategy;
  /** Rung on which the run resumes. The rungs before it are over. */
  readonly rung: RungName;
  readonly rungMs: Readonly<Partial<Record<RungName, number>>>;
  readonly skipped: Readonly<Partial<Record<RungName, string>>>;
  readonly candidates: readonly CandidateRecord[];
  readonly watched: readonly WatchRecord[];
  /**
   * Metric on the search rows, by candidate id. It was measured to compare candidates whose measurements on the gate
   * rows ended early.
   */
  readonly compared: Readonly<Record<string, MetricValue>>;
  /** Reason why the run ended early without a publication; null if it did not. */
  readonly held: string | null;
  readonly searchHistory: readonly SearchEvaluation[];
  readonly bestId: string | null;
  /**
   * Outcome and number of tokens of each gate row under the best candidate, as plain arrays; null without a candidate.
   */
  readonly bestOutcomes: { readonly values: readonly number[]; readonly tokens: readonly number[] } | null;
  readonly publishedId: string | null;
  readonly elapsedMs: number;
}

export interface LadderOutcome {
  readonly ready: boolean;
  readonly target: GateTarget;
  /**
   * Best candidate, whether or not it passed; null if the gate has judged none. If the run is ready, this candidate is
   * the published one.
   */
  readonly best: Candidate | null;
  /** Reports of all rungs of the strategy, in the order in which they are tried. */
  readonly rungs: readonly RungReport[];
  readonly candidates: readonly CandidateRecord[];
  readonly searchHistory: readonly SearchEvaluation[];
  readonly warnings: readonly string[];
  readonly elapsedMs: number;
}
