import { AbandonedError } from './training-errors.ts';

export interface CancellationWatch {
  /** Aborts with an {@link AbandonedError} when the watched work is no longer needed. */
  readonly cancelled: AbortSignal;
  stop(): void;
}

/**
 * Checks at an interval whether some work is still needed. While the database cannot answer, the work continues; if it
 * needs the database, it fails by itself.
 * @param what message of the error, for example "rollout … is no longer being analyzed"
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
