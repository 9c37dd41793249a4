import { backoff } from '../../../lib/backoff.ts';
import { jitter } from '../../../lib/jitter.ts';

/** Intervals and timeouts of the work on replicas, in milliseconds. Tests shorten them. */
export interface SyncTimes {
  /**
   * Time between two turns for a replica without pending work. A restart of the engine goes unnoticed for at most this
   * time.
   */
  readonly checkMs: number;
  /** Time until the next full comparison, which finds deleted adapters and other labels. */
  readonly resyncMs: number;
  /** Length of a turn. A turn goes on for up to {@link resyncMs} while no versions change. */
  readonly turnMs: number;
  /** Delay before the first retry of a failed attempt; it doubles with each failure. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** Timeout of requests for an engine's list of models. */
  readonly getMs: number;
  /** Timeout of requests that load, unload and complete. */
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
