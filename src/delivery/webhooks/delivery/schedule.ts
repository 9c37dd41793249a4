const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** When failed deliveries are tried again. Tests shorten the times. */
export interface RetrySchedule {
  /** Time until the next attempt after the first, the second and so on, in milliseconds. After the last one nothing more is tried. */
  readonly delaysMs: readonly number[];
  /** For how long an endpoint rests whose last attempts have all failed, whatever waits for it, in milliseconds. */
  restMs(failures: number): number;
}

/** The example of Standard Webhooks: ten attempts within three days and four hours. */
export const RETRY_SCHEDULE: RetrySchedule = {
  delaysMs: [...[5 * SECOND, 5 * MINUTE, 30 * MINUTE], ...[2, 5, 10, 14, 20, 24].map((hours) => hours * HOUR)],
  // One failure may be about one event. After more of them, others would only fail as well.
  restMs: (failures) => (failures < 2 ? 0 : Math.min(5 * SECOND * 2 ** (failures - 2), 5 * MINUTE)),
};
