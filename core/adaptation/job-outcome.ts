import type { CandidateRecord } from '../method/ladder/candidate.ts';
import type { RungReport } from '../method/ladder/ladder-state.ts';
import type { Phase } from '../options/phases.ts';
import type { Precision } from '../options/precisions.ts';
import type { Baselines } from './baselines.ts';
import type { CountedFrom } from './measurements/gate-outcomes.ts';
import type { RowFormat } from './setup/row-format.ts';
import type { NegativeFlip } from './measurements/negative-flips.ts';
import type { SliceValues } from './measurements/slices.ts';

/** Kinds of rows that a job had. `validation_only`: the task has no training rows, so nothing could be trained. */
export type RowsUsed = 'training' | 'validation_only';

/** Outcome of a job. Plain JSON. */
export interface JobOutcome {
  readonly state: 'ready' | 'not_ready' | 'cancelled';
  /** Best candidate, which is the published one if the job is ready; null if no candidate was judged. */
  readonly best: CandidateRecord | null;
  /** Value of the metric that the gate asks for; null if the job was cancelled before the value was known. */
  readonly target: number | null;
  readonly baselines: Baselines;
  /** Whether stored outcomes made it unnecessary to measure the old adapter on the old base. */
  readonly oldKnown: boolean;
  /**
   * Version from which the gate's margin counted, with its value; null if the gate has no margin, or if the job was
   * cancelled before the value was known.
   */
  readonly anchor: CountedFrom | null;
  /**
   * Report for every rung of the strategy, in order; empty if the job was cancelled before the ladder's first
   * checkpoint.
   */
  readonly ladder: readonly RungReport[];
  readonly rows: RowsUsed;
  /** Format in which rows became tokens; null if the job was cancelled before it was decided. */
  readonly rowFormat: RowFormat | null;
  /** Precision of both bases; null if the job was cancelled before it was decided. */
  readonly precision: Precision | null;
  /**
   * Metric on the gate rows of each slice, for the old adapter on the old base and for the best candidate on the new
   * one. Either is empty if it was not measured.
   */
  readonly slices: { readonly old: SliceValues; readonly best: SliceValues };
  /**
   * Gate rows, in the order of the file and up to a limit, that the reference version had right and the best candidate
   * has wrong.
   */
  readonly flips: readonly NegativeFlip[];
  /** Warnings about the task's rows and about the course of the job. */
  readonly warnings: readonly string[];
  readonly steps: number;
  readonly totalSteps: number;
  /** Milliseconds of this attempt by phase, up to readiness, or to the end if the job is not ready. */
  readonly phases: Readonly<Record<Phase, number>>;
  /** Milliseconds from the start of this attempt to the first durable publication; null if the job is not ready. */
  readonly readyMs: number | null;
  /** Number of input tokens trained on, and number of them trained on in each second of pure training. */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Problem that ended the training before its time; its code is `training_diverged`. Absent without one. */
  readonly problem?: { readonly code: string; readonly message: string };
  /** PEFT folder of the best candidate within `workDir`, if the job is not ready; else null. */
  readonly candidateFolder: string | null;
}
