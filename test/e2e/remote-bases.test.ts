import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { create } from 'tar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  getBaseModelUpload,
  getBaseModelVersion,
  getRollout,
  items,
  listBaseModelUploads,
  listEvents,
  listJobs,
  type Rollout,
} from '../../openapi/clients/typescript/src/index.ts';
import { uploadBaseModel } from '../../openapi/clients/typescript/src/node/index.ts';
import { retryingClient } from '../../cli/demo/register-fleet.ts';
import { loadConfig } from '../../src/platform/config/config.ts';
import { startServer } from '../../src/api/server.ts';
import { compiledCommand, compiledModule } from '../compiled/index.ts';
import { startRollout } from '../faults/support/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../integration/support/test-database.ts';
import { eventually } from '../eventually.ts';
import { startHub, type HubServer } from '../unit/base-sources/support/hub-server.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../unit/training/support/tiny-task.ts';

const WORKER = path.resolve('test/faults/support/worker-process.ts');
const PART_BYTES = 65_536;
const REPO = 'acme/assistant';
const HANG_AFTER = 100_000;

let folder: string;
let hub: HubServer;
let family: TinyFamily;
let database: TestDatabase;
/** Service that takes over after the death of the first API process. */
let service: Awaited<ReturnType<typeof startServer>>;
let client: ReturnType<typeof retryingClient>;
let operatorKey: string;
/** Sources of the uploaded bases. */
let uploaded: { readonly old: { id: string; source: string }; readonly fresh: { id: string; source: string } };
const running: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-remote-'));
  family = await createTinyFamily();
  hub = await startHub();
  database = await createTestDatabase();
});
afterAll(async () => {
  await Promise.all(running.map(killed));
  await service?.stop();
  await database?.close();
  await hub?.close();
  await removeTinyFamily(family);
  await rm(folder, { recursive: true, force: true });
});

const shared = () => ({
  DATABASE_URL: database.url,
  READAPT_DATA_DIR: path.join(folder, 'data'),
  READAPT_HUB_URL: hub.url,
  READAPT_HUB_TOKEN: 'hf_secret',
});
const settings = () => ({
  ...shared(),
  READAPT_PORT: '0',
  READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES),
  READAPT_ALLOWED_ROOTS: family.folder,
});

/** Starts an API process, which a test can kill. @returns its address */
async function startApi(): Promise<{ api: ChildProcess; origin: string }> {
  const env = { ...process.env, ...settings(), READAPT_LOG_LEVEL: 'info' };
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const api = spawn(process.execPath, [compiledCommand(), 'serve', '--no-worker'], { env, stdio: [...stdio] });
  running.push(api);
  let seen = '';
  const origin = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      seen += chunk.toString();
      const found = /serves (\S+)/.exec(seen)?.[1];
      if (found !== undefined) resolve(found);
    };
    api.stdout.on('data', read);
    api.stderr.on('data', read);
    api.once('exit', (code) => reject(new Error(`the API ended with ${code}:\n${seen}`)));
  });
  return { api, origin };
}

/** Starts a worker that shares database and artifacts with the API, and has a base folder of its own. */
function startWorker(name: string): ChildProcess {
  const env = {
    ...process.env,
    ...shared(),
    READAPT_GRAPH_CACHE: path.join(folder, 'graphs'),
    READAPT_BASE_CACHE_DIR: cacheOf(name),
    READAPT_THREADS: '1',
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
  };
  const worker = fork(compiledModule(WORKER), { execArgv: [], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  running.push(worker);
  return worker;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const cacheOf = (name: string) => path.join(folder, `bases-of-${name}`);
const basesOf = async (name: string) =>
  (await readdir(cacheOf(name))).filter((entry) => /^[0-9a-f]{40}$/.test(entry)).sort();

/** Starts a rollout of one adapter, which needs the old base as well as the new one. */
const roll = (name: string, [old, fresh]: readonly [string, string]) => {
  const stack = { origin: service.url, operatorKey, family };
  return startRollout(stack, name, [{ source: old }, { source: fresh }], { names: ['relative'] });
};

/** Waits until the condition holds for a rollout. @returns the rollout */
const until = (what: string, id: string, condition: (found: Rollout) => boolean) =>
  eventually(what, async () => {
    const found = await getRollout({ client, path: { id } });
    if (found.state === 'failed') throw new Error(JSON.stringify(found.error));
    return condition(found) && found;
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await listJobs({ client }))}`);
  });

async function modelFiles(place: string) {
  return (await readdir(place)).map((name) => ({ name, path: path.join(place, name) }));
}

/** Packs the files of the new base into two archives, neither of which is a complete model. */
async function archivesOf(place: string) {
  const [weights, rest] = ['weights.tar', 'rest.tar'].map((name) => ({ name, path: path.join(folder, name) }));
  const others = (await readdir(place)).filter((name) => name !== 'model.safetensors');
  await create({ file: weights!.path, cwd: place }, ['model.safetensors']);
  await create({ file: rest!.path, cwd: place }, others);
  return [weights!, rest!];
}

test('bases are uploaded over the death of the API that takes them', async () => {
  const first = await startApi();
  operatorKey = (await readFile(path.join(folder, 'data', 'operator-key'), 'utf8')).trim();
  const files = await modelFiles(family.oldBase);
  const interrupted = new AbortController();
  const before = retryingClient(first.origin, operatorKey);
  const sending = uploadBaseModel({
    ...{ client: before, files, atOnce: 2, signal: interrupted.signal },
    onProgress: ({ phase, done }) => {
      if (phase !== 'sending' || done < 2 * PART_BYTES || first.api.killed) return;
      first.api.kill('SIGKILL');
      interrupted.abort(new Error('the API has died'));
    },
  });
  await expect(sending).rejects.toThrow('the API has died');

  service = await startServer(loadConfig({ ...settings(), READAPT_LOG_LEVEL: 'silent' }));
  client = retryingClient(service.url, operatorKey);
  const { data: open } = await listBaseModelUploads({ client });
  expect(open).toMatchObject([{ state: 'open', error: null }]);
  const partly = await getBaseModelUpload({ client, path: { id: open[0]!.id } });
  const missing = partly.files.flatMap((file) => file.missing);
  expect(missing.length).toBeGreaterThan(0);
  let sent = Infinity;
  const old = await uploadBaseModel({
    ...{ client, files, pollMs: 50 },
    onProgress: ({ phase, done }) => void (sent = phase === 'sending' ? Math.min(sent, done) : sent),
  });
  // Resumes with the parts that the first process has stored.
  expect(old).toMatchObject({ id: open[0]!.id, state: 'complete' });
  expect(sent).toBeGreaterThanOrEqual(2 * PART_BYTES);

  const fresh = await uploadBaseModel({ client, files: await archivesOf(family.newBase), pollMs: 50 });
  uploaded = { old, fresh };
});

test('workers without a shared folder fetch bases from a hub, over a kill in a fetch, and uploaded ones', async () => {
  const commits = [
    await hub.publishFolder(REPO, family.oldBase, 'hf_secret'),
    await hub.publishFolder(REPO, family.newBase, 'hf_secret'),
  ];
  const [old, fresh] = commits.map((commit) => `hf://${REPO}@${commit}`);
  const id = await roll('fetched', [old!, fresh!]);

  hub.requests.length = 0;
  hub.fault = ({ large }) => (large ? { hangAfter: HANG_AFTER } : null);
  const first = startWorker('first');
  const stuck = await until('a base is being fetched', id, ({ fetches }) =>
    (fetches ?? []).some(({ file, bytes_done: done }) => file === 'model.safetensors' && done >= HANG_AFTER),
  );
  expect(stuck.state).toBe('analyzing');
  expect(stuck.fetches![0]!.bytes_total).toBeGreaterThan(HANG_AFTER);
  await killed(first);
  expect(await basesOf('first')).toEqual([]);

  hub.fault = () => null;
  hub.requests.length = 0;
  const again = startWorker('first');
  const planned = await until('the jobs are planned', id, ({ state }) => state === 'adapting');
  const ranges = hub.requests
    .filter(({ large }) => large)
    .map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
  // One base is resumed where the killed worker was, and the other one is fetched as a whole.
  expect(ranges.sort((a, b) => a - b)).toEqual([0, expect.any(Number)]);
  expect(ranges[1]).toBeGreaterThanOrEqual(HANG_AFTER / 2);
  expect(
    planned.fetches!.every(({ file, bytes_done, bytes_total }) => file === null && bytes_done === bytes_total),
  ).toBe(true);
  await killed(again);

  startWorker('second');
  const ofUploaded = await roll('uploaded', [uploaded.old.source, uploaded.fresh.source]);
  const done = await until('the rollout from the hub is completed', id, ({ state }) => state === 'completed');
  expect(done.jobs).toEqual({ ready: 1 });
  expect(await basesOf('first')).toHaveLength(2);
  expect(await basesOf('second')).toEqual(expect.arrayContaining(await basesOf('first')));
  const { data: jobs } = await listJobs({ client, query: { rollout_id: id } });
  expect(jobs).toMatchObject([{ ttr_ms: expect.any(Number) }]);
  const { phases, ttr_ms: ttr } = jobs[0]!;
  expect(Math.abs(Object.values(phases).reduce((a, b) => a + b, 0) - ttr!)).toBeLessThan(1);
  const version = await getBaseModelVersion({ client, path: { id: done.base_model_version_id } });
  expect(version).toMatchObject({ state: 'verified', path: null, serving_name: REPO });
  expect(version.source).toMatchObject({ kind: 'hub', repo: REPO, commit: commits[1], has_token: false });

  const isCompleted = ({ state }: Rollout) => state === 'completed';
  const other = await until('the rollout from uploads is completed', ofUploaded, isCompleted);
  expect(other.jobs).toEqual({ ready: 1 });
  expect(await basesOf('second')).toHaveLength(4);
  const its = await getBaseModelVersion({ client, path: { id: other.base_model_version_id } });
  expect(its).toMatchObject({ state: 'verified', path: null, source: { kind: 'upload', id: uploaded.fresh.id } });

  // Each worker fetches both bases from the hub, one of them twice, and the second one also those that were uploaded.
  const events: string[] = [];
  for await (const { type } of items(listEvents, { client })) if (type.includes('fetch')) events.push(type);
  expect(events.filter((type) => type === 'base_model_version.fetched')).toHaveLength(6);
  expect(events.filter((type) => type === 'base_model_version.fetching').length).toBeGreaterThanOrEqual(7);
});
