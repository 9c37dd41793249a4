import { backoff } from '../../../lib/backoff.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Retry policy of failed deliveries. Tests shorten the times. */
export interface RetrySchedule {
  /** Delays before the second, third … attempt, in milliseconds. After the last one the delivery fails. */
  readonly delaysMs: readonly number[];
  /**
   * Computes the pause after an endpoint has failed `failures` times in a row, in milliseconds. During the pause,
   * nothing is sent to the endpoint.
   */
  restMs(failures: number): number;
}

/** Example schedule of Standard Webhooks, with ten attempts within three days and four hours. */
export const RETRY_SCHEDULE: RetrySchedule = {
  delaysMs: [...[5 * SECOND, 5 * MINUTE, 30 * MINUTE], ...[2, 5, 10, 14, 20, 24].map((hours) => hours * HOUR)],
  // A single failure may be due to one event. After more of them, other events would fail as well.
  restMs: (failures) => (failures < 2 ? 0 : backoff(5 * SECOND, failures - 1, 5 * MINUTE)),
};
