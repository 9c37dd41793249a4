import { JobEndedError } from '../../src/modules/jobs/index.ts';
import type { BaseDifference } from '../training/protocol.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage } from '../training/out-of-memory.ts';

/** The training process says that a request failed. `permanent`: trying again cannot help. */
export class TrainingFailedError extends Error {
  readonly code: string;
  readonly permanent: boolean;
  /** Why two base versions do not fit together, where that is the reason. */
  readonly differences: readonly BaseDifference[] | undefined;

  constructor(failure: { code: string; message: string; permanent: boolean; differences?: readonly BaseDifference[] }) {
    super(failure.message);
    this.name = 'TrainingFailedError';
    this.code = failure.code;
    this.permanent = failure.permanent;
    this.differences = failure.differences;
  }
}

/** The training process is gone or does not answer; a new one can take the work up from its checkpoint. */
export class TrainingCrashedError extends Error {
  readonly code: 'training_process_died' | typeof OUT_OF_MEMORY;
  /** Whether it ran out of memory; `likely` where nothing but a kill without a sender says so. */
  readonly outOfMemory: 'likely' | 'certain' | null;

  constructor(message: string, outOfMemory: TrainingCrashedError['outOfMemory'] = null) {
    super(message);
    this.name = 'TrainingCrashedError';
    this.outOfMemory = outOfMemory;
    this.code = outOfMemory === null ? 'training_process_died' : OUT_OF_MEMORY;
  }
}

/** Aborts a request whose work nobody needs any more. */
export class AbandonedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AbandonedError';
  }
}

/** Whether an aborted request's work is of no use to anybody; else a later try goes on from its checkpoint. */
export function isAbandoned(reason: unknown): boolean {
  return reason instanceof AbandonedError || reason instanceof JobEndedError;
}

/** Whether a request failed because memory ran out, beyond doubt: the process that served it or V8 said so. */
export function ranOutOfMemory(error: unknown): error is Error {
  if (error instanceof TrainingCrashedError) return error.outOfMemory === 'certain';
  return error instanceof TrainingFailedError && error.code === OUT_OF_MEMORY;
}

/** How a training process ended, as far as its parent can tell. */
export interface Death {
  /** A signal's name, `exit code 1`, or why it could not be started. */
  readonly reason: string;
  /** Whether the parent killed it. */
  readonly killed: boolean;
  /** The line of standard error that says that memory ran out, if there is one. */
  readonly outOfMemoryLine: string | null;
  /** Resident set when last seen; null where it is not known. */
  readonly residentBytes: number | null;
}

/**
 * The error of a dead training process. Nobody but the kernel sends SIGKILL unasked, as a rule: that is what its
 * out-of-memory killer does, and it leaves no word behind.
 */
export function crashOf({ reason, killed, outOfMemoryLine, residentBytes }: Death): TrainingCrashedError {
  const ended = `the training process ended (${reason})`;
  if (killed) return new TrainingCrashedError(ended);
  if (outOfMemoryLine !== null) {
    const what = `the training process ran out of memory (${outOfMemoryLine.trim()})`;
    return new TrainingCrashedError(outOfMemoryMessage(what, residentBytes), 'certain');
  }
  if (reason !== 'SIGKILL') return new TrainingCrashedError(ended);
  const what = 'the training process was killed (SIGKILL), most likely by the kernel for want of memory';
  return new TrainingCrashedError(outOfMemoryMessage(what, residentBytes), 'likely');
}
