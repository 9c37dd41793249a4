/**
 * Length of the period over which utilization is averaged, in milliseconds. For a worker that started more recently,
 * the period begins with its start.
 */
const WINDOW_MS = 300_000;

/**
 * Measures the share of the last five minutes in which a worker was busy. Times are milliseconds of a monotonic clock.
 */
export class Utilization {
  /** Periods of work that have ended and overlap the last five minutes. */
  readonly #ended: { from: number; to: number }[] = [];
  readonly #startedAt: number;
  #running: number | null = null;

  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  begin(at: number): void {
    this.#running ??= at;
  }

  end(at: number): void {
    if (this.#running !== null) this.#ended.push({ from: this.#running, to: at });
    this.#running = null;
  }

  /**
   * Computes the share of the period up to `now` in which the worker was busy.
   * @returns a share in [0, 1]; null if no time has passed yet
   */
  share(now: number): number | null {
    const since = Math.max(this.#startedAt, now - WINDOW_MS);
    if (now <= since) return null;
    while (this.#ended[0] !== undefined && this.#ended[0].to <= since) this.#ended.shift();
    const stretches = this.#running === null ? this.#ended : [...this.#ended, { from: this.#running, to: now }];
    const busy = stretches.reduce((sum, { from, to }) => sum + to - Math.max(from, since), 0);
    return Math.min(1, busy / (now - since));
  }
}
