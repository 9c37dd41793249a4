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
  listBaseModelUploads,
  listJobs,
} from '../../openapi/clients/typescript/src/index.ts';
import { uploadBaseModel } from '../../openapi/clients/typescript/src/node/index.ts';
import { retryingClient } from '../../cli/demo/register-fleet.ts';
import { compiledCommand, compiledModule } from '../compiled/index.ts';
import { startRollout } from '../faults/support/fleet.ts';
import { createTestDatabase, type TestDatabase } from '../integration/support/test-database.ts';
import { eventually } from '../eventually.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../unit/training/support/tiny-task.ts';

const WORKER = path.resolve('test/faults/support/worker-process.ts');
const PART_BYTES = 16_384;

let folder: string;
let family: TinyFamily;
let database: TestDatabase;
const running: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-uploaded-'));
  family = await createTinyFamily();
  database = await createTestDatabase();
});
afterAll(async () => {
  await Promise.all(running.map(killed));
  await database?.close();
  await removeTinyFamily(family);
  await rm(folder, { recursive: true, force: true });
});

const environment = () => ({
  ...process.env,
  DATABASE_URL: database.url,
  READAPT_DATA_DIR: path.join(folder, 'data'),
  READAPT_LOG_LEVEL: 'info',
});

/** Starts an API process beside the others, on the same database and artifacts. @returns its address */
async function startApi(): Promise<{ api: ChildProcess; origin: string }> {
  const env = {
    ...environment(),
    ...{ READAPT_PORT: '0', READAPT_BASE_UPLOAD_PART_BYTES: String(PART_BYTES), READAPT_ALLOWED_ROOTS: family.folder },
  };
  const api = spawn(process.execPath, [compiledCommand(), 'serve', '--no-worker'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
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

/** Starts a worker with a base folder of its own, which has none of the uploaded bases. */
function startWorker(): void {
  const env = {
    ...environment(),
    ...{ READAPT_BASE_CACHE_DIR: path.join(folder, 'bases'), READAPT_GRAPH_CACHE: path.join(folder, 'graphs') },
    ...{ READAPT_THREADS: '1', READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent' },
  };
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  running.push(fork(compiledModule(WORKER), { execArgv: [], env, stdio: [...stdio] }));
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

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

test('a rollout runs from bases that were uploaded, over the death of the API that took them', async () => {
  const first = await startApi();
  const operatorKey = (await readFile(path.join(folder, 'data', 'operator-key'), 'utf8')).trim();
  const files = await modelFiles(family.oldBase);
  const interrupted = new AbortController();
  const before = retryingClient(first.origin, operatorKey);
  const sending = uploadBaseModel({
    ...{ client: before, files, atOnce: 2, signal: interrupted.signal },
    onProgress: ({ phase, done }) => {
      if (phase !== 'sending' || done < 5 * PART_BYTES || first.api.killed) return;
      first.api.kill('SIGKILL');
      interrupted.abort(new Error('the API has died'));
    },
  });
  await expect(sending).rejects.toThrow('the API has died');

  const second = await startApi();
  const client = retryingClient(second.origin, operatorKey);
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
  expect(sent).toBeGreaterThanOrEqual(5 * PART_BYTES);

  const archives = await archivesOf(family.newBase);
  const fresh = await uploadBaseModel({ client, files: archives, pollMs: 50 });

  startWorker();
  const stack = { origin: second.origin, operatorKey, family };
  // Its jobs need the old base as well as the new one.
  const bases = [{ source: old.source }, { source: fresh.source }] as const;
  const rollout = await startRollout(stack, 'uploaded', bases, { names: ['relative'] });
  const done = await eventually('the rollout is completed', async () => {
    const found = await getRollout({ client, path: { id: rollout } });
    if (found.state === 'failed') throw new Error(JSON.stringify(found.error));
    return found.state === 'completed' && found;
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await listJobs({ client }))}`);
  });
  expect(done.jobs).toEqual({ ready: 1 });
  expect((await readdir(path.join(folder, 'bases'))).filter((name) => /^[0-9a-f]{40}$/.test(name))).toHaveLength(2);
  const version = await getBaseModelVersion({ client, path: { id: done.base_model_version_id } });
  expect(version).toMatchObject({ state: 'verified', path: null, source: { kind: 'upload', id: fresh.id } });
});
