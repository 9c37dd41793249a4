import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBaseModelVersion, getRollout, listJobs, type Job } from '../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../cli/demo/register-fleet.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/embedded/index.ts';
import { createJobProducer, createQueueBackend } from '../../src/platform/queue/index.ts';
import { createDatabase, withTransaction, type Database } from '../../src/platform/database/database.ts';
import { outcomesRecoverySource, requestOutcomes } from '../../src/fleet/outcomes/index.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { logger } from '../integration/queue/test-queue.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../unit/training/support/tiny-task.ts';
import { checkOut, hasCommit, lastRelease, type EarlierVersion } from './earlier-version.ts';
import { Processes, type Process } from './processes.ts';
import { registerTinyAdapter } from './tiny-adapter.ts';

const OURS = compiledCommand();
const release = await lastRelease();
const isThere = hasCommit(release.commit);
if (!isThere) {
  const commit = `the commit of version ${release.version}, ${release.commit}`;
  const message = `${commit}, is not in this checkout, whose history is shallow`;
  if (process.env.READAPT_TEST_UPGRADE === 'required') throw new Error(`${message}: fetch it`);
  console.warn(`${message}: the rolling upgrade is not tested`);
}

describe.runIf(isThere)(`version ${release.version} and this one on one database`, () => {
  const processes = new Processes();
  let folder: string;
  let earlier: EarlierVersion;
  let postgres: EmbeddedPostgres;
  let db: Database;
  let env: NodeJS.ProcessEnv;
  let operatorKey: string;
  let family: TinyFamily;
  let baseModelId: string;
  let oldApi: Process;

  beforeAll(async () => {
    earlier = await checkOut(release);
    folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-upgrade-'));
    // PostgreSQL's user needs access to the folder.
    await chmod(folder, 0o755);
    family = await createTinyFamily();
    postgres = await startEmbeddedPostgres(path.join(folder, 'database'), { durable: false });
    db = createDatabase(postgres.url);
    env = {
      ...process.env,
      DATABASE_URL: postgres.url,
      REDIS_URL: '',
      READAPT_DATA_DIR: path.join(folder, 'data'),
      READAPT_ALLOWED_ROOTS: [family.folder, family.oldBase].join(path.delimiter),
      READAPT_PORT: '0',
      READAPT_LOG_LEVEL: 'info',
      READAPT_GRAPH_CACHE: path.join(folder, 'graphs'),
    };
  });
  afterAll(async () => {
    await processes.killAll();
    await db?.$disconnect();
    await postgres?.stop();
    await earlier?.remove();
    if (family !== undefined) await removeTinyFamily(family);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const start = (command: string, ...args: string[]) => processes.start(command, args, env);
  const addressOf = async (api: Process) => (await api.printed(/readapt serves (\S+)/))[1]!;
  const worker = async (command: string): Promise<Process> => {
    const started = start(command, 'worker');
    await started.printed(/worker started/);
    return started;
  };
  /** Registers a base model version through an API and waits until its rollout completes. @returns its job */
  const roll = async (api: string, version: string, base: 'oldBase' | 'newBase'): Promise<Job> => {
    const client = retryingClient(api, operatorKey);
    const body = { version, path: family[base], rollout: {} };
    const { rollout } = await createBaseModelVersion({ client, path: { model: baseModelId }, body });
    const state = () => getRollout({ client, path: { id: rollout!.id } });
    await eventually(`the rollout to version ${version} is completed`, async () =>
      ['completed', 'failed'].includes((await state()).state),
    ).catch((error: unknown) => {
      throw new Error(processes.tails(), { cause: error });
    });
    const { data } = await listJobs({ client, query: { rollout_id: rollout!.id } });
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ error: null, state: 'ready' });
    // One publication per rollout, whichever versions worked on it.
    const published = await db.adapterVersion.findMany({ where: { jobId: data[0]!.id } });
    expect(published).toHaveLength(1);
    // Whichever version it was, its publication is what should be served on its base.
    const [{ id: adapterVersionId, adapterId, baseModelVersionId }] = published as [(typeof published)[number]];
    const key = { adapterId_baseModelVersionId: { adapterId, baseModelVersionId } };
    expect(await db.currentVersion.findUnique({ where: key })).toMatchObject({ adapterVersionId });
    return data[0]!;
  };

  /**
   * Requests a measurement of the latest version, like an import by the new API, and enqueues the job while only a
   * worker that does not know its name is running.
   * @returns a function that waits until it is measured nevertheless
   */
  const requestMeasurement = async (): Promise<() => Promise<unknown>> => {
    const { id, tenantId } = await db.adapterVersion.findFirstOrThrow({ orderBy: { number: 'desc' } });
    const { measuredAt } = await db.gateOutcomes.findUniqueOrThrow({ where: { adapterVersionId: id } });
    const task = { gate: { kind: 'relative', margin: 0.2 }, datasetId: 'any' };
    await withTransaction(db, (tx) => requestOutcomes(tx, task, { tenantId, versionIds: [id] }));
    const backend = createQueueBackend({ databaseUrl: postgres.url, redisUrl: null });
    const producer = await createJobProducer({ db, backend, logger });
    const entries = await outcomesRecoverySource(db).expired(10);
    expect(entries.map(({ name }) => name)).toEqual(['outcomes.measure']);
    await producer.enqueue(entries);
    await eventually('the earlier worker has met it', async () => (await producer.count('adaptations')) === 0);
    await producer.close();
    return async () => {
      await eventually('it is measured', async () => (await db.outcomeRequest.count()) === 0);
      const { measuredAt: again } = await db.gateOutcomes.findUniqueOrThrow({ where: { adapterVersionId: id } });
      expect(again.getTime()).toBeGreaterThan(measuredAt.getTime());
    };
  };

  test('a service of the earlier version has a fleet', async () => {
    oldApi = start(earlier.command, 'serve', '--no-worker');
    const origin = await addressOf(oldApi);
    const [, key, file] = await oldApi.printed(/operator key, shown this once: (\S+)|operator key written to ([^,]+),/);
    operatorKey = key ?? (await readFile(file!, 'utf8')).trim();
    baseModelId = await registerTinyAdapter(retryingClient(origin, operatorKey), family);
  });

  test('its worker runs what the new API has accepted', async () => {
    const oldWorker = await worker(earlier.command);
    // The migrations are applied while the earlier version runs.
    expect(await start(OURS, 'migrate').ended()).toBe(0);
    const api = await addressOf(start(OURS, 'serve', '--no-worker'));
    await roll(api, '2', 'newBase');
    expect(oldWorker.child.exitCode).toBeNull();
    await oldWorker.stop();
  });

  test('its API, which goes on, hands a rollout to a new worker', async () => {
    const newWorker = await worker(OURS);
    await roll(await addressOf(oldApi), '3', 'oldBase');
    const { servingName } = await db.baseModelVersion.findFirstOrThrow({ where: { version: '3' } });
    expect(servingName).toBe(family.oldBase);
    // The operator lets it finish with a signal.
    expect(await newWorker.stop('SIGUSR2')).toBe(0);
    await newWorker.ended();
    expect(newWorker.output()).toContain('drained');
  });

  test('workers of both share a queue, and jobs that only one knows', async () => {
    const oldWorker = await worker(earlier.command);
    const measured = await requestMeasurement();
    const newWorker = await worker(OURS);
    await measured();
    await roll(await addressOf(oldApi), '4', 'newBase');
    expect([oldWorker.child.exitCode, newWorker.child.exitCode]).toEqual([null, null]);
    await newWorker.stop();
    await oldWorker.stop();
  });

  test('going back: it starts again once it is admitted, and its own API and worker carry on', async () => {
    await oldApi.stop();
    const refused = start(earlier.command, 'serve', '--no-worker');
    expect(await refused.ended()).toBe(1);
    expect(refused.output()).toContain('which this version of Readapt does not know');
    expect(await start(OURS, 'migrate', '--admit', release.version).ended()).toBe(0);
    const again = start(earlier.command, 'serve', '--no-worker');
    const api = await addressOf(again);
    // A process of the new version that starts meanwhile is unaffected.
    const late = start(OURS, 'serve', '--no-worker');
    await addressOf(late);
    await late.stop();
    const oldWorker = await worker(earlier.command);
    await roll(api, '5', 'oldBase');
    await oldWorker.stop();
    // Upgrades again.
    expect(await start(OURS, 'migrate').ended()).toBe(0);
    await worker(OURS);
    await roll(await addressOf(start(OURS, 'serve', '--no-worker')), '6', 'newBase');
  });
});
