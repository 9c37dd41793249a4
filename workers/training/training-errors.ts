import { JobEndedError, JobPausedError } from '../../src/fleet/job-control/index.ts';
import { OUT_OF_MEMORY, outOfMemoryMessage } from './out-of-memory.ts';
import type { RequestFailure } from './protocol.ts';

/** Error for a request that failed in the training process. If it is `permanent`, trying again cannot help. */
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

/**
 * Error for a request whose training process has died or does not answer. A new process can resume the work from its
 * checkpoint.
 */
export class TrainingCrashedError extends Error {
  readonly code: 'training_process_died' | 'training_process_not_started' | typeof OUT_OF_MEMORY;
  /** Whether the process had become ready for requests before it ended. If not, the request cannot be to blame. */
  readonly started: boolean;
  /**
   * Certainty that the process ran out of memory: `certain` if a line of its output says so, `likely` if it was killed
   * by a SIGKILL that the worker did not send, null in all other cases.
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
 * Whether the work of an aborted request is no longer needed. Work that is still needed resumes from its checkpoint in
 * a later attempt.
 */
export function isAbandoned(reason: unknown): boolean {
  return reason instanceof AbandonedError || reason instanceof JobEndedError;
}

/** Whether a request was aborted to pause its job in favor of a caller that waits for the device. */
export function isPaused(reason: unknown): boolean {
  return reason instanceof JobPausedError;
}

/** Whether a request certainly failed because memory ran out: the training process itself, or V8, has reported that. */
export function ranOutOfMemory(error: unknown): error is Error {
  if (error instanceof TrainingCrashedError) return error.outOfMemory === 'certain';
  return error instanceof TrainingFailedError && error.code === OUT_OF_MEMORY;
}

/** Facts that a worker knows about the end of its training process. */
export interface Death {
  /** Name of a signal, an exit code (`exit code 1`), or the reason for which the process could not be started. */
  readonly reason: string;
  /** Whether the worker itself ended the process. */
  readonly killed: boolean;
  /** Line of the process's output that tells of a lack of memory; null if there is none. */
  readonly outOfMemoryLine: string | null;
  /** Size of the process's resident set at the last reading, in bytes; null if it is not known. */
  readonly residentBytes: number | null;
  /** Whether the process had reported that it was ready for requests before it ended. Default: true. */
  readonly started?: boolean;
}

/**
 * Returns the error for a training process that has ended. A SIGKILL that the worker did not send is put down to the
 * kernel's out-of-memory killer, which leaves no message; as a rule, nothing else sends one.
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
