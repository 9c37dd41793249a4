import { JobEndedError } from '../../src/modules/jobs/index.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage } from './out-of-memory.ts';
import type { Failure } from './protocol.ts';

/** The training process says that a request failed. `permanent`: trying again cannot help. */
export class TrainingFailedError extends Error {
  readonly code: string;
  readonly permanent: boolean;
  /** Why two base model versions do not fit together, if that is the reason. */
  readonly differences: Failure['differences'];

  constructor({ code, message, permanent, differences }: Failure) {
    super(message);
    this.name = 'TrainingFailedError';
    this.code = code;
    this.permanent = permanent;
    this.differences = differences;
  }
}

/** The training process is gone or does not answer. A new one can resume the work from its checkpoint. */
export class TrainingCrashedError extends Error {
  readonly code: 'training_process_died' | typeof OUT_OF_MEMORY;
  /** Whether it ran out of memory; `likely` if nothing but a kill without a known sender says so. */
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

/** Whether nobody needs an aborted request's work. If somebody does, a later attempt resumes from its checkpoint. */
export function isAbandoned(reason: unknown): boolean {
  return reason instanceof AbandonedError || reason instanceof JobEndedError;
}

/** Whether a request certainly failed because memory ran out: the process that served it, or V8, said so. */
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
  /** The line on standard error that says that memory ran out; null if there is none. */
  readonly outOfMemoryLine: string | null;
  /** Size of the resident set when last seen; null if it is not known. */
  readonly residentBytes: number | null;
}

/**
 * Returns the error for a dead training process. As a rule, only the kernel's out-of-memory killer sends a SIGKILL that
 * the worker did not send, and it leaves no message.
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
