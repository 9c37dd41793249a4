import type { Config } from '../../src/platform/config/config.ts';
import { nameDataFolder } from '../../src/platform/config/setup-error.ts';
import { startConsumer } from '../../src/platform/queue/index.ts';
import { createShutdown, type Shutdown } from '../../src/lib/shutdown.ts';
import { createLogger, type Logger } from '../../src/lib/logger.ts';
import { openLocalBases } from '../bases/open-local-bases.ts';
import { createDraining } from './draining.ts';
import { listWorker } from './list-worker.ts';
import { openCheckpoints, openStores, openTraining, startTelemetry } from './open-resources.ts';
import { createHandlers, createWorkerSweeper, observeBoth, startHousekeeping } from './queue-work.ts';
import { createWorkerControl } from './worker-control.ts';
import type { WorkerDependencies, WorkerTimes } from './worker-options.ts';

export interface RunningWorker {
  /**
   * Lets the running job finish, takes no other job, and then resolves `drained`. The worker must still be stopped
   * afterwards.
   */
  drain(): void;
  /** Promise that resolves when the worker takes no more jobs and its last job has finished, whoever asked for that. */
  readonly drained: Promise<void>;
  /** Port of the metrics server; null if there is none. */
  readonly metricsPort: number | null;
  /** Returns running jobs to the queue, where they resume from their checkpoints, and ends the training process. */
  stop(): Promise<void>;
}

/**
 * Starts a worker: the consumers of both queues, the sweeper, and one training process for the device.
 * @throws Error if `config.databaseUrl` is null and `deps.db` or `deps.backend` is missing; SetupError that names the
 * setting if the database, Redis or the data folder cannot be used; DeviceUnavailableError
 */
export async function startWorker(
  config: Config,
  deps: WorkerDependencies = {},
  times: WorkerTimes = {},
): Promise<RunningWorker> {
  const logger = (deps.logger ?? createLogger({ level: config.logLevel })).child({ process: 'worker' });
  const closing = createShutdown(logger);
  try {
    const running = await start(config, { ...deps, logger }, times, closing);
    logger.info('worker started');
    return { ...running, stop: () => closing.run() };
  } catch (error) {
    await closing.run();
    throw nameDataFolder(error, config.dataDir);
  }
}

/** Starts the parts of a worker one after the other. `closing` stops them in reverse order. */
async function start(
  config: Config,
  deps: WorkerDependencies & { logger: Logger },
  times: WorkerTimes,
  closing: Shutdown,
): Promise<Omit<RunningWorker, 'stop'>> {
  const { logger } = deps;
  const stores = await openStores(config, deps, closing);
  const { db, backend } = stores;
  const training = await openTraining(config, deps, closing);
  const local = await openLocalBases({ db, config, artifacts: stores.artifacts, loaded: training.loaded, logger });
  closing.add('fetches', () => local.close());
  const checkpoints = await openCheckpoints(config, db);
  const telemetry = await startTelemetry(config, { ...stores, device: training.device, logger }, closing);
  const control = await createWorkerControl(db, config.clockToleranceMs);
  const listed = listWorker(config, { ...stores, ...training, local, control, logger, times });
  const { registration } = listed;
  const parts = { ...stores, ...training, ...telemetry, ...listed, local: local.bases, checkpoints, times };
  const handlers = createHandlers(config, parts);
  const sweeper = createWorkerSweeper(config, { ...stores, ...telemetry, logger, times });
  closing.add('registration', () => registration.stop());
  const observer = observeBoth(registration.observer, telemetry.metrics.consumer);
  const { clockProblem } = control;
  const consumer = await startConsumer({ backend, handlers, logger, observer, clockProblem, ...times });
  control.attachConsumer(consumer);
  closing.add('consumer', () => consumer.stop());
  sweeper.start();
  closing.add('sweeper', () => sweeper.stop());
  const housekeeper = startHousekeeping(config, { ...stores, ...telemetry, checkpoints, control, logger, times });
  closing.add('housekeeping', () => housekeeper.stop());
  const draining = createDraining({ consumer, logger, onChange: (is) => registration.draining(is) });
  control.attachDraining(draining);
  await registration.start();
  return { drain: draining.drain, drained: draining.drained, metricsPort: telemetry.metricsPort };
}
