import { TryLaterError } from '../src/jobs/index.ts';
import type { TrainingProcess, TrainingSlot } from './training/training-process.ts';

/** What a row says of a fault. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** Waits for the device. @throws TryLaterError if the worker stops before it is free */
export async function acquireDevice(training: TrainingProcess, signal: AbortSignal): Promise<TrainingSlot> {
  try {
    return await training.acquire(signal);
  } catch (error) {
    throw new TryLaterError(problemOf(error).message, 0);
  }
}

/** Whether a handler's signal aborted because the worker stops, and not because the job's time is over. */
export function isStopping(signal: AbortSignal): boolean {
  return signal.aborted && !isTimeout(signal.reason);
}

/** Node's codes of a full disk and of a used-up quota. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT']);

/** An error in the words of a row, which tenants read; a `code` of its own stays. */
export function problemOf(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  if (isTimeout(error)) return { code: 'timed_out', message: 'the job took longer than it may' };
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal_error';
  if (DISK_FULL.has(code)) {
    return { code: 'disk_full', message: 'no space is left where the worker keeps checkpoints and artifacts' };
  }
  return { code, message };
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError';
}
