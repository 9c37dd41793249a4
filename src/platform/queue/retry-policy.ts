import { isTimeout } from '../../lib/timeout.ts';
import { CATALOG, type EntryName } from './catalog.ts';

/** A failure that another attempt cannot repair. */
export class PermanentError extends Error {
  /** A stable code, which rows and API answers repeat. */
  readonly code: string;

  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'PermanentError';
    this.code = options.code ?? 'failed';
  }
}

/**
 * Puts the job back into the queue for `delayMs`, with another priority if one is given, without using up an attempt.
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
 * The machine of the worker has failed, not the job. The job goes back to the queue without using up an attempt, with a
 * delay that grows, and a worker that meets many such faults takes no jobs for a while.
 */
export class WorkerFaultError extends Error {
  override readonly name = 'WorkerFaultError';
}

export interface AttemptContext {
  /** Aborts when the worker stops or the job's time is up. */
  readonly signal: AbortSignal;
  /** True if no further attempt follows a transient error. */
  readonly lastAttempt: boolean;
}

/**
 * End of a failed attempt. The handler stores what its rows need, and throws `error` to tell the queue; `cause` is the
 * failure itself. Only `retry` uses up an attempt.
 * - `stopped`: the worker stops, and another one takes the job at once
 * - `put-off`: the job has to wait
 * - `worker-fault`: the job goes back to the queue until this machine, or another, can do it
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
 * Decides how a failed attempt ends, and so whether another follows. The limits stand in `catalog.ts`.
 * @param classify converts an error that knows nothing of the queue to one of the classes above; any other is transient
 */
export function attemptEnd(
  error: unknown,
  { signal, lastAttempt }: AttemptContext,
  classify: (cause: unknown) => unknown = (cause) => cause,
): AttemptEnd {
  if (signal.aborted && !isTimeout(signal.reason)) {
    return { end: 'stopped', error: new TryLaterError('the worker is stopping', 0), cause: error };
  }
  // Aborted work fails with an error of its own; that the time was up is more precise. A job that waits still waits.
  const cause = signal.aborted && !(error instanceof TryLaterError) ? (signal.reason as unknown) : error;
  const end = { ...endOf(classify(cause)), cause };
  if (end.end !== 'retry' || !lastAttempt) return end;
  const message = cause instanceof Error ? cause.message : String(cause);
  return { end: 'fail', error: new PermanentError(message, { cause }), cause };
}

/** End that the class of a handler's error tells the queue. */
export function endOf(error: unknown): AttemptEnd {
  if (error instanceof TryLaterError) return { end: 'put-off', error, cause: error };
  if (error instanceof WorkerFaultError) return { end: 'worker-fault', error, cause: error };
  if (error instanceof PermanentError) return { end: 'fail', error, cause: error };
  return { end: 'retry', error, cause: error };
}

/**
 * Gives a job up that was begun more often than the catalog allows.
 * @param what a clause, for example `job job_1 was claimed`
 * @throws PermanentError `too_many_attempts`
 */
export function limitStarts(name: EntryName, starts: number, what: string): void {
  const { maxStarts } = CATALOG[name];
  if (starts <= maxStarts) return;
  throw new PermanentError(`${what} ${maxStarts} times and never ended`, { code: 'too_many_attempts' });
}
