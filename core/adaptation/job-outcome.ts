import type { CandidateRecord } from '../method/ladder/candidate.ts';
import type { RungReport } from '../method/ladder/ladder-state.ts';
import type { Phase } from '../options/phases.ts';
import type { Precision } from '../options/precisions.ts';
import type { Baselines } from './baselines.ts';
import type { CountedFrom } from './measurements/gate-outcomes.ts';
import type { RowFormat } from './setup/row-format.ts';
import type { NegativeFlip } from './measurements/negative-flips.ts';
import type { SliceValues } from './measurements/slices.ts';

/** Kinds of rows that a job has used. `validation_only`: the task has no training rows, so nothing could be trained. */
export type RowsUsed = 'training' | 'validation_only';

/** Outcome of one attempt at a job, which has ended or was cancelled. Plain JSON. */
export interface JobOutcome {
  readonly state: 'ready' | 'not_ready' | 'cancelled';
  /** Best candidate; null if no candidate was judged. If the job is ready, this candidate is the published one. */
  readonly best: CandidateRecord | null;
  /** Value of the metric that the gate asks for; null if the job was cancelled before the value was known. */
  readonly target: number | null;
  readonly baselines: Baselines;
  /** Whether stored outcomes made it unnecessary to measure the old adapter on the old base. */
  readonly oldKnown: boolean;
  /**
   * Version from which the gate's margin counts, with its metric: a candidate may be worse than this version by no more
   * than the margin. Null for a gate without a margin, or if the job was cancelled before the metric was known.
   */
  readonly anchor: CountedFrom | null;
  /**
   * Reports of all rungs of the strategy, in the order in which they are tried; empty if the job was cancelled before
   * the ladder's first checkpoint.
   */
  readonly ladder: readonly RungReport[];
  readonly rows: RowsUsed;
  /** Format in which the rows became tokens; null if the job was cancelled before the format was decided. */
  readonly rowFormat: RowFormat | null;
  /** Precision of both bases; null if the job was cancelled before the precision was decided. */
  readonly precision: Precision | null;
  /**
   * Metric on the gate rows of each slice: of the old adapter on the old base, and of the best candidate on the new
   * one. A version that was not measured has no entries.
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
  /** Milliseconds that each phase of this attempt took, until the job was ready or, if it never was, until the end. */
  readonly phases: Readonly<Record<Phase, number>>;
  /** Milliseconds from the start of this attempt to the first durable publication; null if the job is not ready. */
  readonly readyMs: number | null;
  /**
   * Number of input tokens that training has processed. `tokensPerSecond` is this number divided by the seconds of pure
   * training.
   */
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Reason why training ended early, with the code `training_diverged`; absent if training did not end early. */
  readonly problem?: { readonly code: string; readonly message: string };
  /**
   * PEFT folder of the best candidate, within `workDir`, if the job is not ready. Null if the job is ready or was
   * cancelled, if it is a control, or if no candidate was judged.
   */
  readonly candidateFolder: string | null;
}
