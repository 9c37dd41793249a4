import path from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
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
import { createReference } from '../../faults/support/reference.ts';
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
} from '../stack/readapt.ts';

/** Rollout in a stack of real processes that are all killed at once and started again. */
export function useKilledTree() {
  let folder: string;
  let family: TinyFamily;
  let started: Promise<Awaited<ReturnType<typeof start>>>;
  beforeEach(async () => {
    folder = await createFolderWithDatabase();
    family = await createTinyFamily();
  });
  afterEach(async () => {
    await removeFolder(folder);
    await removeTinyFamily(family);
  });

  const cacheDir = () => path.join(family.folder, 'cache');
  const env = () => ({
    READAPT_ALLOWED_ROOTS: [family.folder, BASE].join(path.delimiter),
    READAPT_GRAPH_CACHE: cacheDir(),
    READAPT_THREADS: '1',
  });

  async function start(name: string) {
    const { url, operatorKey } = await serve(folder, [], { env: env() });
    const service = { origin: url, operatorKey: operatorKey!, family };
    const rolloutId = await startRollout(service, name, undefined, FEW_ADAPTERS);
    return { url, operatorKey: operatorKey!, rolloutId };
  }

  /** Requests of an operator to a running stack. */
  function asked(origin: string, operatorKey: string, rolloutId: string) {
    const client = retryingClient(origin, operatorKey);
    const request = { client, path: { id: rolloutId } };
    const rollout = () => getRollout(request);
    const jobs = async () => (await listJobs({ client, query: { rollout_id: rolloutId } })).data;
    return {
      origin,
      rollout,
      jobs,
      /** Waits for the end of the rollout. On a timeout the error names the state of its jobs. */
      async completed(): Promise<void> {
        const isCompleted = async () => (await rollout()).state === 'completed';
        await eventually('the rollout is completed', isCompleted, 200_000).catch(async (error: Error) => {
          throw new Error(`${error.message}: ${JSON.stringify({ rollout: await rollout(), jobs: await jobs() })}`);
        });
      },
      change: (what: 'pause' | 'resume') => (what === 'pause' ? pauseRollout : resumeRollout)(request),
    };
  }

  return {
    /** Starts the stack and a rollout in it. */
    async start(name: string) {
      started = start(name);
      const { url, operatorKey, rolloutId } = await started;
      return asked(url, operatorKey, rolloutId);
    },

    async restart() {
      const { operatorKey, rolloutId } = await started;
      const { url } = await serve(folder, [], { env: env() });
      return asked(url, operatorKey, rolloutId);
    },

    /**
     * Stops the training process while a job is training, so that the job cannot end before the test resumes it.
     * @param trained the job that is training; undefined if there is none
     * @returns the job, and a function that resumes the process
     */
    freezeTraining(trained: () => Promise<Job | undefined>): Promise<{ job: Job; thaw: () => void }> {
      const freeze = async () => {
        const training = (await processesOf(folder)).filter(({ command }) => /training\/process/.test(command));
        const signal = (name: NodeJS.Signals): void => training.forEach(({ pid }) => killProcess(pid, name));
        if (training.length === 0 || (await trained()) === undefined) return null;
        signal('SIGSTOP');
        const job = await trained();
        if (job !== undefined) return { job, thaw: () => signal('SIGCONT') };
        signal('SIGCONT');
        return null;
      };
      return eventually('a job is trained', freeze);
    },

    /** Kills every process at once, as a power failure does, except that the disk keeps what was not synced. */
    async killEverything(): Promise<void> {
      const postmaster = await postmasterOf(path.join(folder, 'data'));
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
     * Checks what the rollout has left as the fault campaign does: rows, artifacts, and the bits of an undisturbed run.
     */
    async expectUndisturbed(origin: string, check: (db: Database, rolloutId: string) => Promise<void>): Promise<void> {
      const { operatorKey, rolloutId } = await started;
      const dataDir = path.join(folder, 'data');
      const postgres = await startEmbeddedPostgres(dataDir);
      const db = createDatabase(postgres.url, { poolSize: 4 });
      const artifacts = await createFilesystemStore(path.join(dataDir, 'artifacts'));
      const reference = createReference({ db, family, cacheDir: cacheDir() }, artifacts);
      try {
        await check(db, rolloutId);
        expect(await problemsOf({ stack: { db, origin, operatorKey }, artifacts, reference, rolloutId })).toEqual([]);
      } finally {
        await reference.close();
        await db.$disconnect();
        await postgres.stop();
      }
    },
  };
}
