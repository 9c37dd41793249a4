import { AbandonedError } from '../training/training-errors.ts';

/** Reason with which a measurement is aborted because a rollout waits for the worker. */
export class PreemptedError extends Error {
  constructor() {
    super('a rollout comes first');
    this.name = 'PreemptedError';
  }
}

export interface MeasurementWatch {
  /**
   * Signal that aborts the measurement: with a {@link PreemptedError} if a rollout waits for the worker, or with an
   * AbandonedError if this worker's measurement is no longer needed.
   */
  readonly ended: AbortSignal;
  stop(): void;
}

export interface WatchedMeasurement {
  /** Renews the lease on the measurement. Returns false if the lease is lost. */
  renew(): Promise<boolean>;
  isRolloutWaiting(): Promise<boolean>;
  readonly intervalMs: number;
}

/**
 * Checks at an interval whether a measurement may continue, that is, whether its lease holds and no rollout waits.
 * While the database cannot answer, the measurement continues.
 */
export function watchMeasurement({ renew, isRolloutWaiting, intervalMs }: WatchedMeasurement): MeasurementWatch {
  const controller = new AbortController();
  const look = async (): Promise<void> => {
    if (!(await renew()))
      controller.abort(new AbandonedError('the version is measured by another worker, or not needed'));
    else if (await isRolloutWaiting()) controller.abort(new PreemptedError());
  };
  const timer = setInterval(() => void look().catch(() => undefined), intervalMs);
  return { ended: controller.signal, stop: () => clearInterval(timer) };
}
