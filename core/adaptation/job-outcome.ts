import type { CandidateRecord } from '../method/ladder/candidate.ts';
import type { RungReport } from '../method/ladder/ladder-state.ts';
import type { Phase } from '../options/phases.ts';
import type { Precision } from '../options/precisions.ts';
import type { Baselines } from './baselines.ts';
import type { CountedFrom } from './measurements/gate-outcomes.ts';
import type { RowFormat } from './setup/row-format.ts';
import type { NegativeFlip } from './measurements/negative-flips.ts';
import type { SliceValues } from './measurements/slices.ts';

/** Rows that a job used. `validation_only`: the task has no training rows, so nothing could be trained. */
export type RowsUsed = 'training' | 'validation_only';

/** Outcome of a job. Plain JSON. */
export interface JobOutcome {
  readonly state: 'ready' | 'not_ready' | 'cancelled';
  /** Best candidate, which is the published one if the job is ready; null if there is none. */
  readonly best: CandidateRecord | null;
  /** Null if the job was cancelled before it was known. */
  readonly target: number | null;
  readonly baselines: Baselines;
  /** Whether stored outcomes of the old adapter on the old base made a measurement unnecessary. */
  readonly oldKnown: boolean;
  /**
   * Version from which the gate's margin counted; null if the gate has no margin, or if the job was cancelled before it
   * was known.
   */
  readonly anchor: CountedFrom | null;
  /** Report for every rung of the strategy, in order; empty if the job was cancelled before the first candidate. */
  readonly ladder: readonly RungReport[];
  readonly rows: RowsUsed;
  /** Null if the job was cancelled before it was known. */
  readonly rowFormat: RowFormat | null;
  /** Precision of both bases. Null if the job was cancelled before it was known. */
  readonly precision: Precision | null;
  /** Metric of the old adapter on the old base and of the best candidate, by slice; empty if not measured. */
  readonly slices: { readonly old: SliceValues; readonly best: SliceValues };
  /** First rows that the old version had right and the best candidate has wrong. */
  readonly flips: readonly NegativeFlip[];
  /** Warnings about the rows and the run. */
  readonly warnings: readonly string[];
  readonly steps: number;
  readonly totalSteps: number;
  /** Milliseconds of this attempt by phase, up to readiness, or to the end if the job is not ready. */
  readonly phases: Readonly<Record<Phase, number>>;
  /** Milliseconds from the start of this attempt to the first durable publication; null if the job is not ready. */
  readonly readyMs: number | null;
  /** Number of input tokens trained on, and the training speed, without other work. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Problem that ended training early (`training_diverged`). */
  readonly problem?: { readonly code: string; readonly message: string };
  /** PEFT folder of the best candidate within `workDir`, if the job is not ready; else null. */
  readonly candidateFolder: string | null;
}
