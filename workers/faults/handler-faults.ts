import { PermanentError, TryLaterError, WorkerFaultError } from '../../src/platform/queue/index.ts';
import { isTimeout } from '../../src/lib/timeout.ts';
import { isDatabaseUnavailable } from '../../src/platform/database/database.ts';
import { INSUFFICIENT_MEMORY } from '../adaptations/memory-check.ts';
import { OUT_OF_MEMORY } from '../training/out-of-memory.ts';
import { SYSTEM_FAULTS, systemFaultOf } from '../training/system-faults.ts';
import { ranOutOfMemory, TrainingCrashedError, TrainingFailedError } from '../training/training-errors.ts';
import type { TrainingProcess, TrainingSlot } from '../training/training-process.ts';

/**
 * Code and message of an error, for the log and the operator. Tenants see the text that `storedProblem` makes instead.
 */
export interface ErrorSummary {
  readonly code: string;
  readonly message: string;
}

/**
 * Waits until the device is free.
 * @throws TryLaterError if the worker stops before the device is free
 */
export async function acquireDevice(training: TrainingProcess, signal: AbortSignal): Promise<TrainingSlot> {
  try {
    return await training.acquire(signal);
  } catch (error) {
    throw new TryLaterError(problemOf(error).message, 0);
  }
}

/** Code for a fault of a worker's machine whose error has no code of its own. */
export const WORKER_FAULT = 'worker_fault';

/**
 * Code with which core reports a missing file or folder. It counts as a fault of the machine, because a job's files
 * existed when the job was accepted.
 */
export const MISSING_FILE = 'missing_file';
const MISSING = new Set([MISSING_FILE, 'ENOENT', 'ENOTDIR']);

/** Faults of the artifact store by their code, each with the system's error code that means the same. */
const STORE_FAULTS = new Map([
  ['storage_full', 'ENOSPC'],
  ['storage_read_only', 'EROFS'],
  ['storage_away', 'ESTALE'],
  // An artifact that was stored a moment ago is missing.
  ['artifact_vanished', 'ESTALE'],
]);

/**
 * Returns the fault of the worker's machine that made an attempt fail; null if the job itself is to blame. The message
 * names no path, because tenants read it. A fault of the machine delays the job, and never ends it.
 */
export function machineFaultOf(error: unknown): ErrorSummary | null {
  if (error instanceof TrainingCrashedError && !error.started) {
    return { code: error.code, message: 'the training process of the worker cannot start' };
  }
  // A job that runs out of memory in a fresh process needs too much; then the error is permanent.
  if (ranOutOfMemory(error) && !(error instanceof TrainingFailedError && error.permanent)) return problemOf(error);
  if (isDatabaseUnavailable(error)) return { code: WORKER_FAULT, message: 'the worker cannot reach the database' };
  const code = codeOf(error);
  if (code === OUT_OF_MEMORY || error instanceof PermanentError) return null;
  if (MISSING.has(code)) {
    const message = 'the worker does not find a file or a folder that the job needs, such as that of a base model';
    return { code: WORKER_FAULT, message };
  }
  const fault = STORE_FAULTS.get(code) ?? systemFaultOf(error) ?? code;
  if (DISK_FULL.has(fault)) return problemOf(Object.assign(new Error(fault), { code: fault }));
  const message = SYSTEM_FAULTS.get(fault);
  return message === undefined ? null : { code: WORKER_FAULT, message };
}

/** Converts an error to a {@link WorkerFaultError} if the machine of the worker is to blame. */
export function classifyFault(error: unknown): unknown {
  const isClassified = [PermanentError, TryLaterError, WorkerFaultError].some((type) => error instanceof type);
  const fault = isClassified ? null : machineFaultOf(error);
  return fault === null ? error : new WorkerFaultError(fault.message, { cause: error });
}

/**
 * Converts the error of a failed attempt to the one that tells the queue what to do: fail the job if another attempt
 * cannot help, or otherwise delay it.
 * @param tooLargeMs delay in milliseconds before a job that does not fit into this worker's memory is tried again, so
 * that another worker takes it; without it, such a job is treated like any other
 */
export function classifyError(error: unknown, tooLargeMs?: number): unknown {
  if (error instanceof PermanentError) return error;
  const { code, message } = problemOf(error);
  if (code === INSUFFICIENT_MEMORY && tooLargeMs !== undefined) return new TryLaterError(message, tooLargeMs);
  const classified = classifyFault(error);
  const isPermanent = classified instanceof TrainingFailedError && classified.permanent;
  return isPermanent ? new PermanentError(message, { code, cause: error }) : classified;
}

/**
 * Runs a handler, and reports a fault of the machine that the handler does not report itself, such as a lost database.
 */
export async function reportingFaults(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw classifyFault(error);
  }
}

/** Node's codes for a full disk and an exhausted quota. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT']);

/** Codes of the errors for which `problemOf` writes the message itself, so that tenants may read it. */
export const WRITTEN_CODES: ReadonlySet<string> = new Set(['timed_out', 'disk_full']);

/** Code and message of an error. The error's own `code` is kept, except for timeouts and full disks. */
export function problemOf(error: unknown): ErrorSummary {
  const message = error instanceof Error ? error.message : String(error);
  if (isTimeout(error)) return { code: 'timed_out', message: 'the job took longer than its time limit' };
  const code = codeOf(error);
  if (DISK_FULL.has(code)) {
    return {
      code: 'disk_full',
      message: 'no space is left in the data folder of the worker, which keeps checkpoints and artifacts',
    };
  }
  return { code, message };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal_error';
}
