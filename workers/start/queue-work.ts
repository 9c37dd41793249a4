import type { Config } from '../../src/platform/config/config.ts';
import { artifactCollectionTask } from '../../src/operations/housekeeping/collection/artifact-collection.ts';
import { collectionTask } from '../../src/operations/housekeeping/collection/collection.ts';
import { uploadCollectionTask } from '../../src/operations/housekeeping/collection/upload-collection.ts';
import { createHousekeeper } from '../../src/operations/housekeeping/housekeeper.ts';
import { retentionTasks } from '../../src/operations/housekeeping/retention.ts';
import { combineHandlers, createSweeper, LOCK_MS, type ConsumerObserver } from '../../src/platform/queue/index.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { forecastRecoverySource } from '../../src/fleet/forecasts/index.ts';
import { jobRecoverySource, provisionalRecoverySource, rolloutRecoverySource } from '../../src/fleet/rollouts/index.ts';
import { outcomesRecoverySource } from '../../src/fleet/outcomes/index.ts';
import { rollbackRecoverySource } from '../../src/fleet/rollbacks/index.ts';
import { adaptationHandlers, removeStaleCheckpoints } from '../adaptations/adaptation.handler.ts';
import { baselinesHandlers } from '../adaptations/baselines.handler.ts';
import type { LocalBases } from '../bases/local-bases.ts';
import { outcomesHandlers } from '../outcomes/outcomes.handler.ts';
import { provisionHandlers } from '../provisional/provision.handler.ts';
import { forecastHandlers } from '../rollouts/forecast.handler.ts';
import { rolloutHandlers } from '../rollouts/rollout.handler.ts';
import type { ListedWorker } from './list-worker.ts';
import type { OpenedTraining, Stores, Telemetry } from './open-resources.ts';
import type { WorkerControl } from './worker-control.ts';
import type { WorkerTimes } from './worker-options.ts';

type HandlerParts = Stores &
  OpenedTraining &
  Telemetry &
  ListedWorker & {
    readonly local: LocalBases;
    readonly checkpoints: string;
    readonly times: WorkerTimes;
  };

/** Makes the handlers of all kinds of queue entries. */
export function createHandlers({ quotas, measuredTokens }: Config, parts: HandlerParts) {
  const { db, artifacts, producer, training, tracing, availability, local, times } = parts;
  const { checkpoints, workerId, check, metrics, registration } = parts;
  const shared = { db, artifacts, producer, training, tracing, availability, local, quotas, ...times };
  const jobs = { checkpoints, measuredTokens };
  return combineHandlers([
    rolloutHandlers(shared),
    forecastHandlers(shared),
    provisionHandlers(shared),
    baselinesHandlers({ ...shared, ...jobs }),
    outcomesHandlers({ ...shared, ...jobs, check }),
    adaptationHandlers({ ...shared, ...jobs, workerId, check, metrics, onTrained: registration.trained }),
  ]);
}

type SweeperParts = Stores & Telemetry & { readonly logger: Logger; readonly times: WorkerTimes };

/** Creates the sweeper, which adds queue entries again that were lost in a crash. */
export function createWorkerSweeper({ quotas, clockToleranceMs }: Config, parts: SweeperParts) {
  const { db, backend, producer, metrics, logger, times } = parts;
  const { lockMs = LOCK_MS } = times;
  return createSweeper({
    db,
    producer,
    sources: [
      rolloutRecoverySource(db, producer, quotas),
      forecastRecoverySource(db),
      jobRecoverySource(db),
      provisionalRecoverySource(db),
      outcomesRecoverySource(db),
      rollbackRecoverySource({ db }),
    ],
    logger,
    intervalMs: times.sweepMs,
    queueClock: backend.kind === 'postgres' ? { lockMs, toleranceMs: clockToleranceMs } : null,
    onSwept: metrics.swept,
  });
}

type HousekeepingParts = SweeperParts & { readonly checkpoints: string; readonly control: WorkerControl };

/** Starts the housekeeping tasks, which pause while this worker's clock is wrong. */
export function startHousekeeping(config: Config, parts: HousekeepingParts) {
  const { db, artifacts, producer, metrics, checkpoints, control, logger, times } = parts;
  const housekeeper = createHousekeeper({
    tasks: [
      ...retentionTasks({ db, ...config }),
      collectionTask({ db, producer, ...config }),
      uploadCollectionTask({ db }),
      artifactCollectionTask({ db, artifacts }),
      { name: 'checkpoints', run: async () => ({ folders: await removeStaleCheckpoints(db, checkpoints) }) },
    ],
    logger,
    delayMs: times.housekeepingDelayMs,
    isUnfit: () => control.clockProblem !== null,
    onDone: metrics.housekept,
  });
  housekeeper.start();
  return housekeeper;
}

/** Combines several observers of queue entries into one that calls all of them. */
export function observeBoth(...observers: readonly ConsumerObserver[]): ConsumerObserver {
  return {
    begin: (id, name) => {
      const ends = observers.map((observer) => observer.begin(id, name));
      return (end, ms) => ends.forEach((ended) => ended(end, ms));
    },
    quarantine: (active) => observers.forEach((observer) => observer.quarantine(active)),
  };
}
