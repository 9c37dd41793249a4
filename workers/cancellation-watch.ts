import { AbandonedError } from './training/training-errors.ts';

export interface CancellationWatch {
  /** Aborts with an {@link AbandonedError} when the work is no longer needed. */
  readonly cancelled: AbortSignal;
  stop(): void;
}

/**
 * Asks at an interval whether some work is still needed. While the database cannot answer, it is: the work itself fails
 * with that error.
 * @param what the work, for the message: "rollout … is no longer being analyzed"
 */
export function watchCancellation(
  isNeeded: () => Promise<boolean>,
  what: string,
  intervalMs: number,
): CancellationWatch {
  const controller = new AbortController();
  const timer = setInterval(() => {
    isNeeded().then(
      (needed) => {
        if (!needed) controller.abort(new AbandonedError(what));
      },
      () => undefined,
    );
  }, intervalMs);
  return { cancelled: controller.signal, stop: () => clearInterval(timer) };
}
