import path from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import {
  getRollout,
  listJobs,
  pauseRollout,
  resumeRollout,
  type Job,
} from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { createFilesystemStore } from '../../../src/platform/artifacts/index.ts';
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { createDatabase, type Database } from '../../../src/platform/database/database.ts';
import { problemsOf } from '../../faults/support/checks.ts';
import { FEW_ADAPTERS, startRollout } from '../../faults/support/fleet.ts';
import { createReference, type Reference } from '../../faults/support/reference.ts';
import { BASE, createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { eventually } from '../../eventually.ts';
import {
  createFolderWithDatabase,
  isAlive,
  killProcess,
  postmasterOf,
  processesOf,
  removeFolder,
  serve,
  type ProcessOf,
  type Served,
} from '../stack/readapt.ts';

/** Stack of real processes that are all killed at once and started again, with rollouts of small fleets. */
export function useKilledTree() {
  let folder: string;
  let family: TinyFamily;
  let origin: string;
  let operatorKey: string;
  let database: Database | null = null;
  let reference: Reference;
  /** Training processes of the stack when they were last listed, which takes a while. */
  let training: readonly ProcessOf[] = [];
  beforeAll(async () => {
    folder = await createFolderWithDatabase();
    family = await createTinyFamily();
    const stack = {
      family,
      cacheDir: cacheDir(),
      get db() {
        return database!;
      },
    };
    reference = createReference(stack, await artifactStore());
    ({ url: origin, operatorKey } = (await serve(folder, [], { env: env() })) as Served & { operatorKey: string });
  });
  afterAll(async () => {
    await reference.close();
    await removeFolder(folder);
    await removeTinyFamily(family);
  });

  const dataDir = () => path.join(folder, 'data');
  const cacheDir = () => path.join(family.folder, 'cache');
  const artifactStore = () => createFilesystemStore(path.join(dataDir(), 'artifacts'));
  const env = () => ({
    READAPT_ALLOWED_ROOTS: [family.folder, BASE].join(path.delimiter),
    READAPT_GRAPH_CACHE: cacheDir(),
    READAPT_THREADS: '1',
  });

  /** Connects to the running stack's database for a while. */
  async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
    const postgres = await startEmbeddedPostgres(dataDir());
    database = createDatabase(postgres.url, { poolSize: 4 });
    try {
      return await work(database);
    } finally {
      await database.$disconnect();
      await postgres.stop();
    }
  }

  async function listTraining(): Promise<void> {
    training = (await processesOf(folder)).filter(({ command }) => /training\/process/.test(command));
  }

  /** Requests of an operator to the running stack. */
  const request = () => ({ client: retryingClient(origin, operatorKey) });

  function asked(id: string) {
    const rollout = () => getRollout({ ...request(), path: { id } });
    const jobs = async () => (await listJobs({ ...request(), query: { rollout_id: id } })).data;
    return {
      id,
      rollout,
      jobs,
      /** Waits for the end of the rollout. On a timeout the error names the state of its jobs. */
      async completed(): Promise<void> {
        const isCompleted = async () => (await rollout()).state === 'completed';
        await eventually('the rollout is completed', isCompleted, 200_000).catch(async (error: Error) => {
          throw new Error(`${error.message}: ${JSON.stringify({ rollout: await rollout(), jobs: await jobs() })}`);
        });
      },
      change: (what: 'pause' | 'resume') =>
        (what === 'pause' ? pauseRollout : resumeRollout)({ ...request(), path: { id } }),
    };
  }

  return {
    /** @param maxSteps largest number of optimizer steps */
    async startRollout(name: string, maxSteps?: number) {
      await listTraining();
      return asked(
        await startRollout({ origin, operatorKey, family }, name, undefined, { names: FEW_ADAPTERS, maxSteps }),
      );
    },

    /** Starts the stack again, late enough that the leases and locks of the dead worker have expired. */
    async restart(): Promise<void> {
      ({ url: origin } = await serve(folder, [], { env: env() }));
      await withDatabase(async (db) => {
        await db.$executeRaw`UPDATE jobs SET lease_expires_at = now() WHERE lease_owner IS NOT NULL`;
        await db.$executeRaw`UPDATE bullmq.job SET locked_until_ms = 0 WHERE state = 'active'`;
      });
    },

    /**
     * Stops the training process while a job is training, so that the job cannot end before the test resumes it.
     * @param trained the job that is training; undefined if there is none
     * @returns the job, and a function that resumes the process
     */
    freezeTraining(trained: () => Promise<Job | undefined>): Promise<{ job: Job; thaw: () => void }> {
      const signal = (name: NodeJS.Signals): void => training.forEach(({ pid }) => killProcess(pid, name));
      const freeze = async () => {
        const alive = await Promise.all(training.map(({ pid }) => isAlive(pid)));
        if (!alive.includes(true)) await listTraining();
        // The process runs only between two looks, so that no training can pass unseen.
        signal('SIGSTOP');
        const job = training.length === 0 ? undefined : await trained();
        if (job !== undefined) return { job, thaw: () => signal('SIGCONT') };
        signal('SIGCONT');
        return null;
      };
      return eventually('a job is trained', freeze);
    },

    /** Kills every process at once, as a power failure does, except that the disk keeps what was not synced. */
    async killEverything(): Promise<void> {
      const postmaster = await postmasterOf(dataDir());
      const running = await processesOf(folder);
      const commands = running.map(({ command }) => command).join('\n');
      for (const part of [/readapt\.js serve/, /readapt\.js worker/, /training\/process/, /watchdog/])
        expect(commands).toMatch(part);
      for (const { pid } of running) killProcess(pid, 'SIGKILL');
      // A dying process loses its command line before it is gone.
      await eventually(
        'nothing of it is left',
        async () => (await processesOf(folder)).length === 0 && !(await isAlive(postmaster)),
      );
    },

    /**
     * Checks what a rollout has left as the fault campaign does: rows, artifacts, and the bits of an undisturbed run.
     */
    async expectUndisturbed(rolloutId: string, check: (db: Database) => Promise<void>): Promise<void> {
      const artifacts = await artifactStore();
      await withDatabase(async (db) => {
        await check(db);
        expect(await problemsOf({ stack: { db, origin, operatorKey }, artifacts, reference, rolloutId })).toEqual([]);
      });
    },
  };
}
