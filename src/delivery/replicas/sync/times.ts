import { backoff } from '../../../lib/backoff.ts';
import { jitter } from '../../../lib/jitter.ts';

/** Intervals and timeouts of the work on replicas, in milliseconds. Tests shorten them. */
export interface SyncTimes {
  /**
   * Time between two turns at a replica without pending work. A restart of the engine is noticed after at most this
   * time.
   */
  readonly checkMs: number;
  /** Time until the next full comparison, which finds deleted adapters and other labels. */
  readonly resyncMs: number;
  /**
   * Length of a turn after which it ends if something has changed; a turn without changes ends after {@link resyncMs}.
   */
  readonly turnMs: number;
  /** Delay before the first retry of a failed attempt; it doubles with each failure. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** Timeouts: `getMs` of a list, `postMs` of loading, unloading and completing. */
  readonly getMs: number;
  readonly postMs: number;
}

export const SYNC_TIMES: SyncTimes = {
  checkMs: 15_000,
  resyncMs: 60_000,
  turnMs: 5000,
  retryMs: 2000,
  longestRetryMs: 60_000,
  getMs: 15_000,
  postMs: 60_000,
};

/** Delay before the next attempt, by the number of failures. @param what seed of the jitter */
export function retryIn({ retryMs, longestRetryMs }: SyncTimes, failures: number, what: string): number {
  return backoff(retryMs, failures, longestRetryMs) * jitter(what);
}
