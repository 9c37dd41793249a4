import { backoff } from '../../../lib/backoff.ts';
import { jitter } from '../../../lib/jitter.ts';

/** Intervals and timeouts of the work on replicas, in milliseconds. Tests shorten them. */
export interface SyncTimes {
  /**
   * Time between two turns of a replica for which nothing is to be done. A restart of its engine goes unnoticed for at
   * most this time.
   */
  readonly checkMs: number;
  /**
   * Time until a replica is next compared with the whole list of its adapters, which finds deleted adapters and changed
   * labels.
   */
  readonly resyncMs: number;
  /**
   * Duration of one turn of work on a replica. The turn goes on for up to {@link resyncMs} while no versions change.
   */
  readonly turnMs: number;
  /** Delay before the first retry after a failure. It doubles with each failure, up to `longestRetryMs`. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** Timeout of requests for an engine's list of models. */
  readonly getMs: number;
  /** Timeout of requests that load or unload adapters, and of those that complete prompts. */
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

/**
 * Computes the delay before the next attempt, in milliseconds, from the number of failures so far.
 * @param what seed of the jitter
 */
export function retryIn({ retryMs, longestRetryMs }: SyncTimes, failures: number, what: string): number {
  return backoff(retryMs, failures, longestRetryMs) * jitter(what);
}
