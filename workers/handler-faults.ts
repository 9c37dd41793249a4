import { PermanentError, TryLaterError } from '../src/jobs/index.ts';
import { TrainingFailedError } from './training/training-errors.ts';
import type { TrainingProcess, TrainingSlot } from './training/training-process.ts';

/** An error as the database stores it. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** Waits until the device is free. @throws TryLaterError if the worker stops before that */
export async function acquireDevice(training: TrainingProcess, signal: AbortSignal): Promise<TrainingSlot> {
  try {
    return await training.acquire(signal);
  } catch (error) {
    throw new TryLaterError(problemOf(error).message, 0);
  }
}

/** Returns whether a handler's signal aborted because the worker stops, and not because the job took too long. */
export function isStopping(signal: AbortSignal): boolean {
  return signal.aborted && !isTimeout(signal.reason);
}

/**
 * Returns why a handler's request failed. The training process reports an aborted one as cancelled; the reason for the abort
 * says more.
 * @throws TryLaterError if the worker stops
 */
export function faultOf(signal: AbortSignal, error: unknown): unknown {
  if (isStopping(signal)) throw new TryLaterError('the worker is stopping', 0);
  return signal.aborted ? signal.reason : error;
}

/** Returns whether another attempt cannot help. */
export function isPermanent(error: unknown): boolean {
  return error instanceof PermanentError || (error instanceof TrainingFailedError && error.permanent);
}

/** Node's codes for a full disk and an exhausted quota. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT']);

/** Converts an error to what the database stores, which tenants read. The error's own `code` is kept. */
export function problemOf(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  if (isTimeout(error)) return { code: 'timed_out', message: 'the job took longer than its time limit' };
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal_error';
  if (DISK_FULL.has(code)) {
    return {
      code: 'disk_full',
      message: 'no space is left in the data folder of the worker, which keeps checkpoints and artifacts',
    };
  }
  return { code, message };
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}
