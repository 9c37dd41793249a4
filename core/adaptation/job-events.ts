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

/** A candidate that passed the gate, written as a PEFT folder. */
export interface Publication {
  readonly type: 'publication';
  /** Counts up from 1 within an attempt. */
  readonly number: number;
  /** PEFT folder with `readapt.json`. It may be removed once the publication is durable. */
  readonly folder: string;
  readonly candidate: CandidateRecord;
  readonly rows: RowsUsed;
  /** The candidate on the gate rows of the new base. */
  readonly outcomes: GateOutcomes;
  /** The metric by slice; empty if the rows name none. */
  readonly slices: SliceValues;
  /** The first of the rows that the version before had right and the candidate has wrong. */
  readonly flips: readonly NegativeFlip[];
}

/**
 * The job resumes from a checkpoint. What an attempt before has measured up to there is told once more, because whoever heard
 * it may have died before it was written down.
 */
export interface Resumption {
  readonly type: 'resumed';
  /** The last points of the training. */
  readonly points: readonly MetricPoint[];
  readonly searches: readonly SearchEvaluation[];
  /** With the number of training steps after which each was judged, those of earlier rungs included. */
  readonly candidates: readonly { readonly candidate: CandidateRecord; readonly trained: number }[];
  /** What was measured on the search rows beside a training, in the same way. */
  readonly watched: readonly { readonly watched: WatchRecord; readonly trained: number }[];
}

/** Everything that a running job tells, as one stream. Plain JSON, so that it can cross a process border unchanged. */
export type JobEvent =
  | LadderEvent
  | Publication
  | { readonly type: 'phase'; readonly phase: Phase }
  /** It is known how the adapter's rows are made into tokens. Comes before anything is measured with them. */
  | { readonly type: 'row_format'; readonly format: RowFormat }
  /** Steps of all training so far. */
  | { readonly type: 'progress'; readonly step: number; readonly totalSteps: number }
  | { readonly type: 'points'; readonly points: readonly MetricPoint[] }
  | Resumption
  /** May come several times; the latest is the most complete. `target` is null until it is known. */
  | { readonly type: 'baselines'; readonly target: number | null; readonly baselines: Baselines }
  /** Outcomes of the old adapter on the old base, on so many rows, were known, so that it need not be measured. */
  | { readonly type: 'old_known'; readonly rows: number }
  /** The old adapter was measured on the old base, because no stored outcomes could be used. */
  | { readonly type: 'old_measured'; readonly outcomes: GateOutcomes }
  /** It is known what the margin of the gate counts from. An absolute gate has none. */
  | { readonly type: 'anchor'; readonly anchor: CountedFrom };

/** Hears of a job's events in order. The job waits for the answer to a `publication`: it is durable when that resolves. */
export type JobEventHandler = (event: JobEvent) => Promise<void> | void;
