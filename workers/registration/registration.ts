import type { ConsumerObserver } from '../../src/platform/queue/index.ts';
import { compareClock, type ClockReading } from '../../src/lib/clock.ts';
import type { Database } from '../../src/platform/database/database.ts';
import type { Logger } from '../../src/lib/logger.ts';
import {
  recordWorkerStop,
  removeOldWorkers,
  writeHeartbeat,
  type NewWorker,
  type WorkerReport,
} from '../../src/operations/workers/index.ts';
import { Utilization } from './utilization.ts';

const HEARTBEAT_MS = 5000;
const CLEANING_MS = 3_600_000;

export interface RegistrationOptions {
  db: Database;
  logger: Logger;
  worker: NewWorker;
  /** Returns the identifiers of the base model versions that the worker cannot read. */
  unreadableBases(): string[];
  /** Returns the folders of the base models that the training process has in memory. */
  loadedFolders(): readonly string[];
  /**
   * Called at each heartbeat with the operator's request: `stop` (finish and stop), `wait` (finish and wait) or null.
   */
  onDrain(wanted: 'stop' | 'wait' | null): void;
  /** Called when the operator asks to end the worker's quarantine. */
  onLift(): void;
  /** Called at each heartbeat with the difference between the worker's clock and the database's. */
  onClock(reading: ClockReading): void;
  intervalMs?: number;
}

/** Entry of a worker in the list of workers, which shows its state to operators and takes their requests. */
export interface Registration {
  readonly observer: ConsumerObserver;
  /** Records the training speed of a job, in tokens per second. */
  trained(tokensPerSecond: number): void;
  /** Records whether the worker is draining, that is, takes no more jobs. */
  draining(isDraining: boolean): void;
  changed(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export function createRegistration(options: RegistrationOptions): Registration {
  const { db, logger, worker, intervalMs = HEARTBEAT_MS } = options;
  const report: Omit<WorkerReport, 'state' | 'unreadableBases' | 'loadedFolders' | 'load'> = {
    reason: null,
    quarantinedUntil: null,
    currentJob: null,
    jobsDone: 0,
    jobsFailed: 0,
    faults: 0,
    busyMs: 0,
    tokensPerSecond: null,
  };
  const busy = new Utilization(performance.now());
  let isDraining = false;
  let stopped = false;
  let lifted: number | null = null;
  let cleanedAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const state = isDraining ? 'draining' : report.reason === null ? 'ready' : 'quarantined';
    const compare = compareClock();
    const asked = await writeHeartbeat(db, worker, {
      ...report,
      state,
      load: busy.share(performance.now()),
      loadedFolders: options.loadedFolders(),
      unreadableBases: options.unreadableBases(),
    });
    options.onClock(compare(asked.now));
    options.onDrain(asked.drain_requested_at !== null ? 'stop' : asked.idle_requested_at !== null ? 'wait' : null);
    const lift = asked.lift_requested_at?.getTime() ?? null;
    if (lift !== null && lift !== lifted) options.onLift();
    lifted = lift;
    if (performance.now() - cleanedAt < CLEANING_MS) return;
    cleanedAt = performance.now();
    await removeOldWorkers(db);
  };
  /** Writes the worker's heartbeat to the database at an interval, never two at a time. */
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
        busy.begin(performance.now());
        return (end, ms) => {
          report.currentJob = null;
          busy.end(performance.now());
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
    draining: (is) => {
      if (is === isDraining) return;
      isDraining = is;
      void beat();
    },
    changed: () => void beat(),
    start: beat,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await writing;
      await recordWorkerStop(db, worker.id);
    },
  };
}
