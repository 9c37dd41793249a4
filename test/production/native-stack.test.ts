import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createBaseModelVersion,
  getRollout,
  isEndOfJob,
  listJobs,
  listWorkers,
} from '../../openapi/clients/typescript/src/index.ts';
import { FAMILY, familyPath, FLEET } from '../../cli/demo/fleet.ts';
import { retryingClient, registerFleet } from '../../cli/demo/register-fleet.ts';
import { createDatabase, type Database } from '../../src/platform/database/database.ts';
import { compiledCommand } from '../compiled/index.ts';
import { eventually } from '../eventually.ts';
import { freePort, startRedis, type TestRedis } from '../integration/support/redis.ts';
import { Processes, type Process } from '../upgrade/processes.ts';
import { startDebianPostgres, type DebianPostgres } from './debian-postgres.ts';

// Runs a provider's setup without Docker: Debian's PostgreSQL and Redis, two APIs and two workers.
const COMMAND = compiledCommand();

const processes = new Processes();
let dataDir: string;
let postgres: DebianPostgres;
let redis: TestRedis;
let db: Database;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'readapt-native-'));
  postgres = await startDebianPostgres(await freePort());
  redis = await startRedis();
  db = createDatabase(postgres.url);
  env = {
    ...process.env,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    READAPT_DATA_DIR: dataDir,
    READAPT_ALLOWED_ROOTS: FAMILY,
    READAPT_PORT: '0',
    READAPT_THREADS: '1',
    READAPT_LOG_LEVEL: 'info',
  };
});
afterAll(async () => {
  await processes.killAll();
  await db?.$disconnect();
  await redis?.stop();
  await postgres?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const start = (...args: string[]) => processes.start(COMMAND, args, env);
const addressOf = async (api: Process) => (await api.printed(/readapt serves (\S+)/))[1]!;

test('two APIs and two workers, one of each killed in the middle, carry the whole fleet over once', async () => {
  expect(await start('migrate').ended()).toBe(0);
  const [api, otherApi] = [start('serve'), start('serve')];
  const [origin, otherOrigin] = [await addressOf(api), await addressOf(otherApi)];
  // One of the two APIs that start together has made the key.
  const file = (
    await eventually('an operator key is written', async () =>
      /operator key written to ([^,]+),/.exec(api.output() + otherApi.output()),
    )
  )[1]!;
  const operatorKey = (await readFile(file, 'utf8')).trim();
  const workers = [start('worker'), start('worker')] as const;
  for (const worker of workers) await worker.printed(/worker started/);

  const gate = { kind: 'relative', margin: 0.2 } as const;
  const entries = FLEET.slice(0, 4).map((entry) => ({ ...entry, trainRows: 100, gate }));
  const fleet = await registerFleet({ origin, operatorKey, fleet: entries, log: () => {} });
  const { rollout } = await createBaseModelVersion({
    client: fleet.operator,
    path: { model: fleet.baseModelId },
    body: {
      version: '2',
      path: familyPath('v2'),
      rollout: {},
    },
  });
  const client = retryingClient(otherOrigin, operatorKey);
  const jobs = async () => (await listJobs({ client, query: { rollout_id: rollout!.id } })).data;

  // Both workers are running a job now; the killed one leaves its job unfinished.
  const held = () => db.job.findMany({ where: { leaseOwner: { not: null } } });
  const pidOf = ({ leaseOwner }: { leaseOwner: string | null }) => Number(leaseOwner!.split(':')[1]);
  await eventually('both workers have a job', async () => new Set((await held()).map(pidOf)).size === 2);
  const victim = workers[0];
  // While stopped, the worker neither ends the job that it was seen with nor starts another.
  const lost = await eventually('the worker that is killed has a job', async () => {
    victim.child.kill('SIGSTOP');
    const own = (await held()).find((job) => pidOf(job) === victim.child.pid);
    if (own === undefined) victim.child.kill('SIGCONT');
    return own;
  });
  await Promise.all([victim.stop('SIGKILL'), api.stop('SIGKILL')]);
  const ended = await eventually('all jobs have ended', async () => {
    const all = await jobs();
    return all.length === 4 && all.every(({ state }) => isEndOfJob(state)) && all;
  }).catch((error: unknown) => {
    throw new Error(processes.tails(), { cause: error });
  });
  expect(ended.map(({ state, error }) => [state, error])).toEqual(Array(4).fill(['ready', null]));
  await eventually(
    'the rollout is completed',
    async () => (await getRollout({ client, path: { id: rollout!.id } })).state === 'completed',
  );
  // Checked only now: the killed job may have been ready and in refinement.
  expect((await db.job.findUniqueOrThrow({ where: { id: lost.id } })).attempt).toBeGreaterThan(1);

  // Nothing was published twice.
  const published = await db.adapterVersion.groupBy({ by: ['jobId'], where: { origin: 'adapted' }, _count: true });
  expect(published.map(({ _count }) => _count)).toEqual([1, 1, 1, 1]);
  expect(await db.event.count({ where: { type: 'job.ready' } })).toBe(4);
  expect(await db.event.count({ where: { type: 'rollout.completed', isCopy: false } })).toBe(1);
  const { data } = await listWorkers({ client });
  const stateOf = (worker: Process) => data.find(({ pid }) => pid === worker.child.pid)?.state;
  expect(stateOf(workers[1])).toBe('ready');
  await eventually('the killed worker counts as gone', async () => {
    const listed = await listWorkers({ client });
    return listed.data.find(({ pid }) => pid === victim.child.pid)?.state === 'gone';
  });
});
