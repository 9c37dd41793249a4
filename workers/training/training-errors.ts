import { JobEndedError, JobPausedError } from '../../src/fleet/job-control/index.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage } from './out-of-memory.ts';
import type { RequestFailure } from './protocol.ts';

/** Thrown if the training process reports that a request failed. If it is `permanent`, trying again cannot help. */
export class TrainingFailedError extends Error {
  readonly code: string;
  readonly permanent: boolean;
  /** Differences between the old and the new base model version, if they are the reason for the failure. */
  readonly differences: RequestFailure['differences'];

  constructor({ code, message, permanent, differences, stack }: RequestFailure) {
    super(message);
    this.name = 'TrainingFailedError';
    this.code = code;
    this.permanent = permanent;
    this.differences = differences;
    if (stack !== undefined) this.stack = stack;
  }
}

/** Thrown if the training process is gone or does not answer. A new one can resume the work from its checkpoint. */
export class TrainingCrashedError extends Error {
  readonly code: 'training_process_died' | 'training_process_not_started' | typeof OUT_OF_MEMORY;
  /** False if the process ended before it could take a request, so that the request cannot be to blame. */
  readonly started: boolean;
  /**
   * Whether the process ran out of memory: `certain` if that was reported, `likely` if somebody unknown killed it,
   * otherwise null.
   */
  readonly outOfMemory: 'likely' | 'certain' | null;

  constructor(message: string, outOfMemory: TrainingCrashedError['outOfMemory'] = null, started = true) {
    super(message);
    this.name = 'TrainingCrashedError';
    this.outOfMemory = outOfMemory;
    this.started = started;
    const died = started ? 'training_process_died' : 'training_process_not_started';
    this.code = outOfMemory === null ? died : OUT_OF_MEMORY;
  }
}

/** Reason to abort a request whose work is no longer needed. */
export class AbandonedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AbandonedError';
  }
}

/**
 * Returns whether the work of an aborted request is no longer needed. Otherwise a later attempt resumes from its
 * checkpoint.
 */
export function isAbandoned(reason: unknown): boolean {
  return reason instanceof AbandonedError || reason instanceof JobEndedError;
}

/** Returns whether a request was aborted to pause its job for a caller who waits for the device. */
export function isPaused(reason: unknown): boolean {
  return reason instanceof JobPausedError;
}

/**
 * Returns whether a request certainly failed because memory ran out: the training process itself, or V8, reported it.
 */
export function ranOutOfMemory(error: unknown): error is Error {
  if (error instanceof TrainingCrashedError) return error.outOfMemory === 'certain';
  return error instanceof TrainingFailedError && error.code === OUT_OF_MEMORY;
}

/** End of a training process, as far as its worker can tell. */
export interface Death {
  /** Name of a signal, an exit code (`exit code 1`), or the reason for which the process could not be started. */
  readonly reason: string;
  /** Whether the worker itself killed the process. */
  readonly killed: boolean;
  /** Line that the process wrote to standard error about a lack of memory; null if there is none. */
  readonly outOfMemoryLine: string | null;
  /** Size of the process's resident set at the last reading, in bytes; null if it is not known. */
  readonly residentBytes: number | null;
  /** Whether the process had reported that it was ready for requests. Default: true. */
  readonly started?: boolean;
}

/**
 * Returns the error for a dead training process. As a rule, only the kernel's out-of-memory killer sends a SIGKILL that
 * the worker did not send, and it leaves no message.
 */
export function crashOf({ reason, killed, outOfMemoryLine, residentBytes, started }: Death): TrainingCrashedError {
  const ended = `the training process ended (${reason})`;
  if (started === false) return new TrainingCrashedError(ended, null, false);
  if (killed) return new TrainingCrashedError(ended);
  if (outOfMemoryLine !== null) {
    const what = `the training process ran out of memory (${outOfMemoryLine.trim()})`;
    return new TrainingCrashedError(outOfMemoryMessage(what, residentBytes), 'certain');
  }
  if (reason !== 'SIGKILL') return new TrainingCrashedError(ended);
  const what = 'the training process was killed (SIGKILL), most likely by the kernel for lack of memory';
  return new TrainingCrashedError(outOfMemoryMessage(what, residentBytes), 'likely');
}
