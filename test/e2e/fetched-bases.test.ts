import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  getBaseModelVersion,
  getRollout,
  items,
  listEvents,
  listJobs,
  type Rollout,
} from '../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../cli/demo/register-fleet.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { startServer } from '../../src/api/server.ts';
import { compiledModule } from '../compiled/index.ts';
import { startRollout } from '../faults/support/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../integration/support/test-database.ts';
import { eventually } from '../eventually.ts';
import { startHub, type HubServer } from '../unit/base-sources/support/hub-server.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../unit/training/support/tiny-task.ts';

const WORKER = path.resolve('test/faults/support/worker-process.ts');
const REPO = 'acme/assistant';
const HANG_AFTER = 100_000;

let folder: string;
let hub: HubServer;
let family: TinyFamily;
let database: TestDatabase;
let stack: Awaited<ReturnType<typeof startServer>>;
const workers: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-fetched-'));
  family = await createTinyFamily();
  hub = await startHub();
  database = await createTestDatabase();
  const config = loadConfig({
    DATABASE_URL: database.url,
    READAPT_DATA_DIR: path.join(folder, 'data'),
    READAPT_PORT: '0',
    READAPT_ALLOWED_ROOTS: family.folder,
    READAPT_HUB_URL: hub.url,
    READAPT_HUB_TOKEN: 'hf_secret',
    READAPT_LOG_LEVEL: 'silent',
  });
  stack = await startServer(config);
});
afterAll(async () => {
  await Promise.all(workers.map(killed));
  await stack?.stop();
  await database?.close();
  await hub?.close();
  await removeTinyFamily(family);
  await rm(folder, { recursive: true, force: true });
});

/** Starts a worker that shares database and artifacts with the API, and has a base folder of its own. */
function startWorker(name: string): ChildProcess {
  const env = {
    ...process.env,
    DATABASE_URL: stack.databaseUrl,
    READAPT_DATA_DIR: path.join(folder, 'data'),
    READAPT_GRAPH_CACHE: path.join(folder, 'graphs'),
    READAPT_BASE_CACHE_DIR: cacheOf(name),
    READAPT_HUB_URL: hub.url,
    READAPT_HUB_TOKEN: 'hf_secret',
    READAPT_THREADS: '1',
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
  };
  const worker = fork(compiledModule(WORKER), { execArgv: [], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  workers.push(worker);
  return worker;
}

async function killed(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  worker.kill('SIGKILL');
  await once(worker, 'exit');
}

const cacheOf = (name: string) => path.join(folder, `bases-of-${name}`);
const basesOf = async (name: string) =>
  (await readdir(cacheOf(name))).filter((entry) => /^[0-9a-f]{40}$/.test(entry)).sort();

test('two workers without a shared folder fetch bases from a hub, over a kill in the middle of a fetch', async () => {
  const commits = [
    await hub.publishFolder(REPO, family.oldBase, 'hf_secret'),
    await hub.publishFolder(REPO, family.newBase, 'hf_secret'),
  ];
  const places = commits.map((commit) => ({ source: `hf://${REPO}@${commit}` }));
  const { url: origin, operatorKey } = stack;
  const client = retryingClient(origin, operatorKey!);
  const service = { origin, operatorKey: operatorKey!, family };
  const id = await startRollout(service, 'fetched', [places[0]!, places[1]!], { names: ['relative', 'refined'] });
  const rollout = () => getRollout({ client, path: { id } });
  const until = (what: string, condition: (found: Rollout) => boolean) =>
    eventually(what, async () => {
      const found = await rollout();
      return condition(found) && found;
    }).catch(async (error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify([await rollout(), await listJobs({ client })])}`);
    });

  hub.requests.length = 0;
  hub.fault = ({ large }) => (large ? { hangAfter: HANG_AFTER } : null);
  const first = startWorker('first');
  const stuck = await until('a base is being fetched', ({ fetches }) =>
    (fetches ?? []).some(({ file, bytes_done: done }) => file === 'model.safetensors' && done >= HANG_AFTER),
  );
  expect(stuck.state).toBe('analyzing');
  expect(stuck.fetches![0]!.bytes_total).toBeGreaterThan(HANG_AFTER);
  await killed(first);
  expect(await basesOf('first')).toEqual([]);

  hub.fault = () => null;
  hub.requests.length = 0;
  const second = startWorker('first');
  const planned = await until('the jobs are planned', ({ state }) => state === 'adapting');
  const ranges = hub.requests
    .filter(({ large }) => large)
    .map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
  // One base is resumed where the killed worker was, and the other one is fetched as a whole.
  expect(ranges.sort((a, b) => a - b)).toEqual([0, expect.any(Number)]);
  expect(ranges[1]).toBeGreaterThanOrEqual(HANG_AFTER / 2);
  expect(
    planned.fetches!.every(({ file, bytes_done, bytes_total }) => file === null && bytes_done === bytes_total),
  ).toBe(true);
  await killed(second);

  startWorker('second');
  const done = await until('the rollout is completed', ({ state }) => state === 'completed');
  expect(done.jobs).toEqual({ ready: 2 });
  expect(await basesOf('first')).toHaveLength(2);
  expect(await basesOf('second')).toEqual(await basesOf('first'));

  const { data: jobs } = await listJobs({ client, query: { rollout_id: id } });
  for (const job of jobs.filter(({ ttr_ms: ttr }) => ttr !== null)) {
    expect(Math.abs(Object.values(job.phases).reduce((a, b) => a + b, 0) - job.ttr_ms!)).toBeLessThan(1);
  }
  const version = await getBaseModelVersion({ client, path: { id: done.base_model_version_id } });
  expect(version).toMatchObject({ state: 'verified', path: null, serving_name: REPO });
  expect(version.source).toMatchObject({ kind: 'hub', repo: REPO, commit: commits[1], has_token: false });
  const events: string[] = [];
  for await (const { type } of items(listEvents, { client })) if (type.includes('fetch')) events.push(type);
  expect(events.filter((type) => type === 'base_model_version.fetched')).toHaveLength(4);
  expect(events.filter((type) => type === 'base_model_version.fetching').length).toBeGreaterThanOrEqual(5);
});
