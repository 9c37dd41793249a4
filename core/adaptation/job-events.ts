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

/** Candidate that passed the gate, written as a PEFT folder. */
export interface Publication {
  readonly type: 'publication';
  /** Number of the publication within an attempt, from 1. */
  readonly number: number;
  /** PEFT folder with `readapt.json`. It may be removed once the publication is durable. */
  readonly folder: string;
  readonly candidate: CandidateRecord;
  readonly rows: RowsUsed;
  /** Outcomes of the candidate on the gate rows of the new base. */
  readonly outcomes: GateOutcomes;
  /** Metric by slice; empty if the rows name none. */
  readonly slices: SliceValues;
  /** First rows that the reference version had right and the candidate has wrong. */
  readonly flips: readonly NegativeFlip[];
}

/**
 * Event of a job that resumes from a checkpoint. It repeats the earlier attempt's measurements, because the receiver
 * may have died before it stored them.
 */
export interface Resumption {
  readonly type: 'resumed';
  /** Last metric points of the training. */
  readonly points: readonly MetricPoint[];
  readonly searches: readonly SearchEvaluation[];
  /** Candidates with the number of training steps after which each was judged, including those of earlier rungs. */
  readonly candidates: readonly { readonly candidate: CandidateRecord; readonly trained: number }[];
  /** Measurements, on the search rows, of adapters in training, with the number of training steps as for candidates. */
  readonly watched: readonly { readonly watched: WatchRecord; readonly trained: number }[];
}

/** Events of a running job, as one stream. Plain JSON, so that they can cross a process border unchanged. */
export type JobEvent =
  | LadderEvent
  | Publication
  | { readonly type: 'phase'; readonly phase: Phase }
  /** Sent once the row format is decided, before anything is measured with it. */
  | { readonly type: 'row_format'; readonly format: RowFormat }
  /** Number of steps of all trainings so far. */
  | { readonly type: 'progress'; readonly step: number; readonly totalSteps: number }
  | { readonly type: 'points'; readonly points: readonly MetricPoint[] }
  | Resumption
  /** May be sent several times; the latest is the most complete. `target` is null until it is known. */
  | { readonly type: 'baselines'; readonly target: number | null; readonly baselines: Baselines }
  /**
   * Sent if stored outcomes of the old adapter on the old base, for this number of rows, made a measurement
   * unnecessary.
   */
  | { readonly type: 'old_known'; readonly rows: number }
  /** Sent after the old adapter was measured on the old base, because no stored outcomes could be used. */
  | { readonly type: 'old_measured'; readonly outcomes: GateOutcomes }
  /** Sent once the version from which the gate's margin counts is known. An absolute gate has none. */
  | { readonly type: 'anchor'; readonly anchor: CountedFrom };

/**
 * Receives a job's events in order. The job awaits the handler of a `publication`, which resolves once it is durable.
 */
export type JobEventHandler = (event: JobEvent) => Promise<void> | void;
