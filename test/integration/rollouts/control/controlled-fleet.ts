import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { loadConfig } from '../../../../src/platform/config/config.ts';
import { createSweeper } from '../../../../src/platform/queue/index.ts';
import type { Database } from '../../../../src/platform/database/database.ts';
import { jobServices } from '../../support/job-services.ts';
import { jobRecoverySource } from '../../../../src/fleet/rollouts/order/job-recovery.ts';
import {
  createRolloutLifecycle,
  createRolloutService,
  rolloutRecoverySource,
  type Rollout,
  type RolloutOptions,
  type StoredOptions,
} from '../../../../src/fleet/rollouts/index.ts';
import { startWorker, type RunningWorker } from '../../../../workers/start/start-worker.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../../workers/training/training-process.ts';
import type { Behavior, Fleet, FleetSize } from '../../queue/fleet.ts';
import { useQueueWithFleets, type QueueWithFleets } from '../../queue/queue-with-fleets.ts';
import { eventually } from '../../../eventually.ts';
import { logger } from '../../queue/test-queue.ts';
import { WORKER_TIMES } from '../../queue/worker-times.ts';

const ENTRY = fileURLToPath(new URL('../../jobs/scripted-training.ts', import.meta.url));

type JobServices = ReturnType<typeof jobServices>;
type ShownJob = Awaited<ReturnType<JobServices['get']>>;

/** Rollouts of fleets with workers whose training follows a script, and leaves out no baselines. */
export interface ControlledFleets extends Pick<QueueWithFleets, 'fleetOf'> {
  readonly queue: QueueWithFleets['queue'];
  readonly db: Database;
  readonly training: TrainingProcess;
  readonly jobs: JobServices;
  readonly rollouts: ReturnType<typeof createRolloutService>;
  /**
   * Starts a worker. All share one training process, and so one device, unless `ownDevice` is set: then the worker gets
   * one that no other worker of the test has.
   */
  work(fleet: Fleet, options?: { ownDevice: boolean }): Promise<RunningWorker>;
  start(fleet: Fleet, behavior: Behavior, options?: RolloutOptions): Promise<string>;
  /** Plans a rollout before any worker runs. */
  plan(rolloutId: string): Promise<void>;
  jobsOf(rolloutId: string): Promise<ShownJob[]>;
  /** Waits for a job in the given state. */
  oneIn(rolloutId: string, state: string): Promise<ShownJob>;
  ended(rolloutId: string, state: string): Promise<Rollout>;
  /**
   * Runs a sweep, as every worker does periodically.
   * @param graceMs age from which entries count as left behind by their writer; default of the sweeper
   */
  sweep(graceMs?: number): Promise<number>;
  eventsOf(subjectId: string): Promise<string[]>;
}

/** @param pauseGraceMs time that the request of a paused job has before its training process is killed */
export function useControlledFleets(pauseGraceMs?: number): ControlledFleets {
  const world = useQueueWithFleets();
  const workers: RunningWorker[] = [];
  /** Devices of single workers, and those of them that no worker of the test has. */
  const devices: TrainingProcess[] = [];
  let idle: TrainingProcess[] = [];
  let training: TrainingProcess;
  beforeAll(() => {
    training = createTrainingProcess({ logger, entry: ENTRY, pauseGraceMs });
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop();
    idle = [...devices];
  });
  afterAll(async () => {
    for (const device of [training, ...devices]) await device.stop();
  });
  const ownDevice = (): TrainingProcess => {
    const device = idle.pop() ?? createTrainingProcess({ logger, entry: ENTRY });
    if (!devices.includes(device)) devices.push(device);
    return device;
  };
  const services = () => ({ db: world.queue.database.db, producer: world.queue.producer });
  const jobsOf = async (rolloutId: string) =>
    (await jobServices(services()).list({ rollout_id: rolloutId }, null)).data;
  return {
    fleetOf: (size) => withAllBaselines(world, size),
    get queue() {
      return world.queue;
    },
    get db() {
      return world.queue.database.db;
    },
    get training() {
      return training;
    },
    get jobs() {
      return jobServices(services());
    },
    get rollouts() {
      return createRolloutService(services());
    },
    async work(fleet, options = { ownDevice: false }) {
      const { backend, producer, database } = world.queue;
      const config = loadConfig({ READAPT_DATA_DIR: path.join(fleet.folder, 'data'), DATABASE_URL: database.url });
      const own = options.ownDevice ? ownDevice() : training;
      const deps = { db: database.db, artifacts: fleet.artifacts, backend, producer, training: own, logger };
      const worker = await startWorker(config, deps, WORKER_TIMES);
      workers.push(worker);
      return worker;
    },
    async start(fleet, behavior, options = {}) {
      await fleet.behave(behavior);
      return (await createRolloutService(services()).create({ base_model_version_id: fleet.newVersionId, options })).id;
    },
    async plan(id) {
      const { db, producer } = services();
      const lifecycle = createRolloutLifecycle({ db });
      const { baseModelVersionId, options } = (await lifecycle.beginAnalysis(id))!;
      const rollout = { id, baseModelVersionId, options: options as StoredOptions };
      await lifecycle.plan(rollout, new Map(), (entries) => producer.enqueueAfterCommit(entries));
      await producer.remove('rollouts', [id]);
    },
    jobsOf,
    oneIn: (rolloutId, state) =>
      eventually(`a job is ${state}`, async () => (await jobsOf(rolloutId)).find((job) => job.state === state)),
    ended: (rolloutId, state) =>
      eventually(`the rollout is ${state}`, async () => {
        const rollout = await createRolloutService(services()).get(rolloutId, null);
        return rollout.state === state && rollout;
      }),
    async sweep(graceMs) {
      const { db, producer } = services();
      const sources = [rolloutRecoverySource(db, producer), jobRecoverySource(db)];
      return createSweeper({ db, producer, sources, logger, graceMs }).sweep();
    },
    async eventsOf(subjectId) {
      const events = await services().db.event.findMany({
        where: { subjectId, isCopy: false },
        orderBy: { seq: 'asc' },
      });
      return events.map(({ type }) => type);
    },
  };
}

/** Creates a fleet whose jobs measure all baselines, so that no further queue entries follow them. */
async function withAllBaselines(world: QueueWithFleets, size: FleetSize): Promise<Fleet> {
  const fleet = await world.fleetOf(size);
  const behave: Fleet['behave'] = (behavior) => fleet.behave({ allBaselines: true, ...behavior });
  await behave({});
  return { ...fleet, behave };
}

/** Checks that the phases of a ready job add up to its time to readiness. */
export function expectExact(job: ShownJob): void {
  const sum = Object.values(job.phases).reduce((a, b) => a + b, 0);
  expect(Math.abs(sum - job.ttr_ms!)).toBeLessThan(1);
}
