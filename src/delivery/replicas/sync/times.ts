import { jitter } from '../../../lib/jitter.ts';

/** How often and how long replicas are worked on, in milliseconds. Tests shorten the times. */
export interface SyncTimes {
  /** Between two looks at a replica to which nothing is to be done. A restart is found so late. */
  readonly checkMs: number;
  /** Until all is compared again, whatever has changed: deleted adapters, other labels. */
  readonly resyncMs: number;
  /** After that a turn ends if something has changed; one in which nothing does ends after {@link resyncMs}. */
  readonly turnMs: number;
  /** Until a failed attempt is made again; twice as long after each. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** How long a list may take, and how long loading, unloading and completing. */
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

/** Time until the next attempt after some have failed. @param what is tried, so that not everything is tried at once */
export function retryIn({ retryMs, longestRetryMs }: SyncTimes, failures: number, what: string): number {
  return Math.min(retryMs * 2 ** Math.min(failures - 1, 20), longestRetryMs) * jitter(what);
}
