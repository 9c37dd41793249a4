import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import type { QueueProducer, QuarantineOptions, QueueBackend } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { TrainingProcess } from '../training/training-process.ts';

/**
 * Resources of a worker, such as the database. Those not given are opened from the configuration and closed when the
 * worker stops.
 */
export interface WorkerDependencies {
  db?: Database;
  artifacts?: ArtifactStore;
  backend?: QueueBackend;
  producer?: QueueProducer;
  training?: TrainingProcess;
  logger?: Logger;
}

/** Intervals and delays of a worker, in milliseconds. The defaults are for production; tests shorten them. */
export interface WorkerTimes {
  leaseMs?: number;
  heartbeatMs?: number;
  lockMs?: number;
  stalledCheckMs?: number;
  sweepMs?: number;
  /** Time from the worker's start until the first round of the housekeeping, in milliseconds. */
  housekeepingDelayMs?: number;
  quarantine?: QuarantineOptions;
  /**
   * Interval at which the worker tries again a job that does not fit into its memory, or a measurement that gave way to
   * a rollout, in milliseconds.
   */
  askAgainMs?: number;
  /** Interval of the heartbeats in the list of workers, in milliseconds. */
  registrationMs?: number;
}
