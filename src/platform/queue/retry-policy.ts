import { isTimeout } from '../../lib/timeout.ts';
import { CATALOG, type EntryName } from './catalog.ts';

/** Error that another attempt cannot repair, so that the entry fails at once. */
export class PermanentError extends Error {
  /** Stable error code, which database rows and API answers repeat. */
  readonly code: string;

  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'PermanentError';
    this.code = options.code ?? 'failed';
  }
}

/**
 * Error that puts an entry back into its queue for `delayMs` milliseconds, with another priority if one is given. It
 * does not use up an attempt.
 */
export class TryLaterError extends Error {
  readonly delayMs: number;
  readonly priority: number | undefined;

  constructor(message: string, delayMs: number, { priority }: { readonly priority?: number } = {}) {
    super(message);
    this.name = 'TryLaterError';
    this.delayMs = delayMs;
    this.priority = priority;
  }
}

/**
 * Error of the worker's machine, not of the job. The entry goes back to the queue without using up an attempt, with a
 * growing delay. A worker that meets many such faults takes no entries for a while.
 */
export class WorkerFaultError extends Error {
  override readonly name = 'WorkerFaultError';
}

export interface AttemptContext {
  /** Signal that aborts when the worker stops or the time for the entry is over. */
  readonly signal: AbortSignal;
  /** Whether this is the last attempt, so that a transient error makes the entry fail. */
  readonly lastAttempt: boolean;
}

/**
 * End of a failed attempt. The handler updates its rows accordingly, and throws `error` to tell the queue; `cause` is
 * the failure itself. Only `retry` uses up an attempt.
 * - `stopped`: the worker stops, and another one takes the entry at once
 * - `put-off`: the entry has to wait
 * - `worker-fault`: the entry goes back to the queue until this machine, or another, can handle it
 * - `fail`: no attempt follows
 * - `retry`: another attempt follows after the backoff in the catalog
 */
export type AttemptEnd = { readonly cause: unknown } & (
  | { readonly end: 'stopped' | 'put-off'; readonly error: TryLaterError }
  | { readonly end: 'worker-fault'; readonly error: WorkerFaultError }
  | { readonly end: 'fail'; readonly error: PermanentError }
  | { readonly end: 'retry'; readonly error: unknown }
);

/**
 * Decides how a failed attempt ends, and so whether another attempt follows. `catalog.ts` has the limits.
 * @param classify converts an error from outside the queue to one of the error classes of this file; an error of any
 * other class is transient
 */
export function attemptEnd(
  error: unknown,
  { signal, lastAttempt }: AttemptContext,
  classify: (cause: unknown) => unknown = (cause) => cause,
): AttemptEnd {
  if (signal.aborted && !isTimeout(signal.reason)) {
    return { end: 'stopped', error: new TryLaterError('the worker is stopping', 0), cause: error };
  }
  // Aborted work fails with an error of its own, but the timeout is the real cause. An entry that has to wait still
  // waits.
  const cause = signal.aborted && !(error instanceof TryLaterError) ? (signal.reason as unknown) : error;
  const end = { ...endOf(classify(cause)), cause };
  if (end.end !== 'retry' || !lastAttempt) return end;
  const message = cause instanceof Error ? cause.message : String(cause);
  return { end: 'fail', error: new PermanentError(message, { cause }), cause };
}

/** Determines the end of an attempt from the class of the handler's error. */
export function endOf(error: unknown): AttemptEnd {
  if (error instanceof TryLaterError) return { end: 'put-off', error, cause: error };
  if (error instanceof WorkerFaultError) return { end: 'worker-fault', error, cause: error };
  if (error instanceof PermanentError) return { end: 'fail', error, cause: error };
  return { end: 'retry', error, cause: error };
}

/**
 * Gives up a job that was started more often than the catalog allows.
 * @param what a clause, for example `job job_1 was claimed`
 * @throws PermanentError `too_many_attempts`
 */
export function limitStarts(name: EntryName, starts: number, what: string): void {
  const { maxStarts } = CATALOG[name];
  if (starts <= maxStarts) return;
  throw new PermanentError(`${what} ${maxStarts} times and never ended`, { code: 'too_many_attempts' });
}
