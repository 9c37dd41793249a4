import type { ConsumerObserver } from '../src/jobs/index.ts';
import { compareClock, type ClockReading } from '../src/lib/clock/clock.ts';
import type { Database } from '../src/lib/database.ts';
import type { Logger } from '../src/lib/logger.ts';
import { createWorkerRepository, type NewWorker, type WorkerReport } from '../src/modules/workers/index.ts';

const HEARTBEAT_MS = 5000;
const CLEANING_MS = 3_600_000;

export interface RegistrationOptions {
  db: Database;
  logger: Logger;
  worker: NewWorker;
  /** The base model versions that the worker cannot read. */
  unreadableBases(): string[];
  /** The operator wants the worker to finish and stop. It may be called again. */
  onDrain(): void;
  /** The operator wants the quarantine to end. */
  onLift(): void;
  /** Each heartbeat compares the worker's clock with the database's. */
  onClock(reading: ClockReading): void;
  intervalMs?: number;
}

/** The worker's row, which tells operators of it, and by which they tell it what to do. */
export interface Registration {
  readonly observer: ConsumerObserver;
  /** Tokens per second of a job that has trained. */
  trained(tokensPerSecond: number): void;
  draining(): void;
  /** Writes a heartbeat soon. */
  changed(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createRegistration(options: RegistrationOptions): Registration {
  const { db, logger, worker, intervalMs = HEARTBEAT_MS } = options;
  const repository = createWorkerRepository(db);
  const report: Omit<WorkerReport, 'state' | 'unreadableBases'> = {
    reason: null,
    quarantinedUntil: null,
    currentJob: null,
    jobsDone: 0,
    jobsFailed: 0,
    faults: 0,
    busyMs: 0,
    tokensPerSecond: null,
  };
  let isDraining = false;
  let stopped = false;
  let lifted: number | null = null;
  let cleanedAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const state = isDraining ? 'draining' : report.reason === null ? 'ready' : 'quarantined';
    const compare = compareClock();
    const asked = await repository.report(worker, { ...report, state, unreadableBases: options.unreadableBases() });
    options.onClock(compare(asked.now));
    if (asked.drain_requested_at !== null) options.onDrain();
    const lift = asked.lift_requested_at?.getTime() ?? null;
    if (lift !== null && lift !== lifted) options.onLift();
    lifted = lift;
    if (performance.now() - cleanedAt < CLEANING_MS) return;
    cleanedAt = performance.now();
    await repository.removeOld();
  };
  /** Writes one heartbeat after the other, and the next one after the interval. */
  const beat = (): Promise<void> => {
    clearTimeout(timer);
    writing = writing
      .then(() => (stopped ? undefined : write()))
      .catch((error: unknown) => logger.warn({ err: error }, 'the heartbeat of the worker could not be written'))
      .finally(() => {
        clearTimeout(timer);
        if (!stopped) timer = setTimeout(() => void beat(), intervalMs);
      });
    return writing;
  };
  return {
    observer: {
      begin(jobId) {
        report.currentJob = jobId;
        return (end, ms) => {
          report.currentJob = null;
          report.busyMs += ms;
          if (end === 'done') report.jobsDone++;
          if (end === 'failed') report.jobsFailed++;
          if (end === 'fault') report.faults++;
        };
      },
      quarantine(active) {
        report.reason = active?.reason ?? null;
        report.quarantinedUntil = active?.until ?? null;
        void beat();
      },
    },
    trained: (tokensPerSecond) => {
      if (tokensPerSecond > 0) report.tokensPerSecond = tokensPerSecond;
    },
    draining: () => {
      isDraining = true;
      void beat();
    },
    changed: () => void beat(),
    start: beat,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await writing;
      await repository.stopped(worker.id);
    },
  };
}
