import type { CandidateRecord } from '../method/ladder/candidate.ts';
import type { LadderEvent } from '../method/ladder/ladder-context.ts';
import type { WatchRecord } from '../method/ladder/watch-log.ts';
import type { SearchEvaluation } from '../method/search/search-task.ts';
import type { Phase } from '../options/phases.ts';
import type { CountedFrom, GateOutcomes } from './measurements/gate-outcomes.ts';
import type { Baselines } from './baselines.ts';
import type { RowsUsed } from './job-outcome.ts';
import type { RowFormat } from './setup/row-format.ts';
import type { NegativeFlip } from './measurements/negative-flips.ts';
import type { SliceValues } from './measurements/slices.ts';

export interface MetricPoint {
  readonly name: string;
  readonly step: number;
  readonly value: number;
}

/**
 * Event that passes on a candidate for publication. The gate allows the candidate to be published, and its adapter has
 * been written as a PEFT folder.
 */
export interface Publication {
  readonly type: 'publication';
  /** Number of this publication within one attempt at the job, counted from 1. */
  readonly number: number;
  /** PEFT folder of the candidate, with `readapt.json`. It may be removed once the publication is durable. */
  readonly folder: string;
  readonly candidate: CandidateRecord;
  readonly rows: RowsUsed;
  /** Outcomes of the candidate on the gate rows of the new base. */
  readonly outcomes: GateOutcomes;
  /** Candidate's metric on the gate rows of each slice; empty if the rows name no slices. */
  readonly slices: SliceValues;
  /**
   * Gate rows, in the order of the file and up to a limit, that the reference version had right and the candidate has
   * wrong.
   */
  readonly flips: readonly NegativeFlip[];
}

/**
 * Event at the beginning of a job that resumes from a checkpoint. It repeats the earlier attempt's measurements,
 * because the receiver may have died before it stored them.
 */
export interface Resumption {
  readonly type: 'resumed';
  /** Latest metric points of the trainings, as many as the checkpoint keeps. */
  readonly points: readonly MetricPoint[];
  readonly searches: readonly SearchEvaluation[];
  /**
   * Candidates judged so far. `trained` is the number of training steps, on all rungs of the ladder, that the job had
   * done when the candidate was judged.
   */
  readonly candidates: readonly { readonly candidate: CandidateRecord; readonly trained: number }[];
  /**
   * Measurements of adapters in training on the search rows. `trained` is the number of training steps, on all rungs of
   * the ladder, that the job had done when the adapter was measured.
   */
  readonly watched: readonly { readonly watched: WatchRecord; readonly trained: number }[];
}

/** Events of a running job, as one stream. Plain JSON, so that they can cross a process border unchanged. */
export type JobEvent =
  | LadderEvent
  | Publication
  | { readonly type: 'phase'; readonly phase: Phase }
  /** Sent once the job has decided how rows become tokens, before anything is measured with that row format. */
  | { readonly type: 'row_format'; readonly format: RowFormat }
  /**
   * Sent during a training. `step` is the number of steps done so far, and `totalSteps` the number planned, over all
   * trainings of the job.
   */
  | { readonly type: 'progress'; readonly step: number; readonly totalSteps: number }
  | { readonly type: 'points'; readonly points: readonly MetricPoint[] }
  | Resumption
  /**
   * Sent whenever another baseline becomes known, each time with all baselines known so far. `target` is the value of
   * the metric that the gate asks for; null until this value is known.
   */
  | { readonly type: 'baselines'; readonly target: number | null; readonly baselines: Baselines }
  /**
   * Sent if outcomes of the old adapter on the old base are stored, so that the old adapter need not be measured.
   * `rows` is the number of gate rows that these outcomes cover.
   */
  | { readonly type: 'old_known'; readonly rows: number }
  /** Sent after the old adapter was measured on the old base, because no suitable outcomes were stored. */
  | { readonly type: 'old_measured'; readonly outcomes: GateOutcomes }
  /**
   * Sent once the job knows the metric from which the gate's margin counts: candidates may be worse than the version
   * with this metric by no more than the margin. Never sent for an absolute gate, which has no margin.
   */
  | { readonly type: 'anchor'; readonly anchor: CountedFrom };

/**
 * Function that receives a job's events, in order. For a `publication` it returns a promise, which resolves once the
 * candidate is stored durably; the job waits for it.
 */
export type JobEventHandler = (event: JobEvent) => Promise<void> | void;
