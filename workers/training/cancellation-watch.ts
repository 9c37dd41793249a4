import { AbandonedError } from './training-errors.ts';

export interface CancellationWatch {
  /** Signal that aborts, with an {@link AbandonedError}, when the watched work is no longer needed. */
  readonly cancelled: AbortSignal;
  stop(): void;
}

/**
 * Asks `isNeeded` at an interval whether some work is still needed. If `isNeeded` fails, as it does without the
 * database, the work continues; work that needs the database then fails by itself.
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
