import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PATIENCE_MS } from '../../patience.ts';
import { GOLDEN, good, rawTar } from '../adapters/support.ts';
import { eventually } from '../../eventually.ts';
import { bearer } from '../support/index.ts';
import { addDatabase, createFolder, removeFolder, serve, type Served } from './readapt.ts';

const run = promisify(execFile);
const SPLITS = ['training', 'search', 'gate'];
const canMount = process.getuid?.() === 0 && tryToMount();
if (!canMount) console.warn('a full disk is tested only as a limit of the size of files: mounting a tmpfs needs root');

function tryToMount(): boolean {
  const at = mkdtempSync(path.join(os.tmpdir(), 'readapt-test-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', at]).status === 0;
  if (mounted) spawnSync('umount', [at]);
  rmdirSync(at);
  return mounted;
}

let folder: string;
/** File systems of the artifacts and of PostgreSQL, if this process may mount them. */
let disks: { readonly artifacts: string; readonly postgres: string } | null = null;
let prepared: Prepared;

// The tests use one service, the second one as the first has left it.
beforeAll(async () => {
  folder = await createFolder();
  if (canMount)
    disks = { artifacts: await mountTmpfs('artifacts', '4M'), postgres: await mountTmpfs('postgres', '150M') };
  await addDatabase(folder);
  prepared = await prepare();
});
afterAll(async () => {
  for (const disk of Object.values(disks ?? {})) await run('umount', ['--lazy', disk]);
  await removeFolder(folder);
});

async function mountTmpfs(name: string, size: string): Promise<string> {
  const at = path.join(folder, 'data', name);
  await mkdir(at, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', at]);
  return at;
}

/** Fills a folder's file system to the last byte. @returns the file that fills it */
async function fill(at: string): Promise<string> {
  const file = path.join(at, 'filler');
  const handle = await open(file, 'w');
  try {
    for (let bytes = 1 << 20; bytes >= 512;) {
      const wrote = await handle.write(Buffer.alloc(bytes)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
        return null;
      });
      if (wrote === null) bytes /= 2;
    }
  } finally {
    await handle.close();
  }
  return file;
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function ask(
  server: Served,
  url: string,
  body?: object | Buffer | string,
  type = 'application/json',
): Promise<Answer> {
  const payload = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
  const response = await fetch(`${server.url}${url}`, {
    headers: { ...bearer(server.operatorKey!), ...(payload !== undefined && { 'content-type': type }) },
    ...(payload !== undefined && { method: 'POST', body: payload as RequestInit['body'] }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

interface Prepared {
  readonly server: Served;
  /** Uploads a dataset of 20 KB. */
  dataset(): Promise<Answer>;
  /** Uploads a version of an adapter. */
  version(): Promise<Answer>;
}

/** Starts the API with a tenant, a base model, a small dataset and an adapter without versions. */
async function prepare(): Promise<Prepared> {
  const server = await serve(folder, ['--no-worker'], { env: { READAPT_ALLOWED_ROOTS: GOLDEN } });
  const tenant = (await ask(server, '/v1/tenants', { name: 'acme' })).body.id as string;
  await ask(server, '/v1/base-models', { name: 'tiny' });
  const base = path.join(GOLDEN, 'broken/control/base');
  expect((await ask(server, '/v1/base-models/tiny/versions', { version: '1', path: base })).status).toBe(201);
  const upload = (name: string, count: number) => {
    const rows = Array.from({ length: count }, (_, i) => ({
      prompt: `row ${i}`,
      completion: 'x',
      split: SPLITS[i % 3],
    }));
    const body = rows.map((row) => JSON.stringify(row)).join('\n');
    return ask(server, `/v1/datasets?tenant_id=${tenant}&name=${name}`, body, 'application/x-ndjson');
  };
  const small = await upload('small', 3);
  const adapter = await ask(server, '/v1/adapters', {
    tenant_id: tenant,
    name: 'first',
    base_model: 'tiny',
    dataset_id: small.body.id,
    metric: 'accuracy',
    gate: { kind: 'relative', margin: 0.02 },
  });
  expect(adapter).toMatchObject({ status: 201 });
  const versions = `/v1/adapters/${String(adapter.body.id)}/versions/upload?base_model_version=1`;
  return {
    server,
    dataset: () => upload('larger', 400),
    version: () => ask(server, versions, rawTar(good()), 'application/x-tar'),
  };
}

const readiness = async (server: Served) => {
  const { status, body } = await ask(server, '/readyz');
  const checks = body.checks as { name: string; ok: boolean; reason: string | null }[];
  return { status, failed: checks.filter(({ ok }) => !ok).map(({ name, reason }) => ({ name, reason })) };
};

const FULL = {
  status: 507,
  body: { code: 'storage_full', detail: 'the artifact store has no space left: free some and send the request again' },
};

const ARTIFACTS_WRITE = { name: 'artifacts_write', reason: FULL.body.detail };

test('a limit of the size of files (ulimit -f) is answered like a full disk, and /readyz says so', async () => {
  const { server, dataset, version } = prepared;
  const limit = (bytes: string) => run('prlimit', [`--pid=${server.child.pid}`, `--fsize=${bytes}:`]);
  await limit('1000');
  expect(await dataset()).toMatchObject(FULL);
  expect(await version()).toMatchObject(FULL);
  // Nobody has asked before, so this is soon: no earlier result is cached.
  const notReady = await eventually('/readyz is not ready', async () => {
    const found = await readiness(server);
    return found.status === 503 && found;
  });
  expect(notReady.failed).toEqual([ARTIFACTS_WRITE]);
  await limit('unlimited');
});

const FULL_DISKS =
  'full disks (tmpfs) of the artifacts and of PostgreSQL: requests are answered with 507, and /readyz is not ready ' +
  'until there is space';
test.skipIf(!canMount)(FULL_DISKS, async () => {
  const { server, dataset, version } = prepared;
  const fillers = [await fill(disks!.artifacts)];
  expect(await dataset()).toMatchObject(FULL);
  expect(await version()).toMatchObject(FULL);

  fillers.push(await fill(disks!.postgres));
  // The tables' last pages still have room for some rows.
  const name = 'x'.repeat(60);
  let answer: Answer = { status: 201, body: {} };
  for (let i = 0; answer.status === 201 && i < 2000; i++)
    answer = await ask(server, '/v1/tenants', { name: `${name}-${i}` });
  const reason = 'the database has no space left on its disk: free some and send the request again';
  expect(answer).toMatchObject({ status: 507, body: { code: 'database_full', detail: reason } });
  const notReady = await eventually('/readyz says that PostgreSQL has no space', async () => {
    const found = await readiness(server);
    return found.failed.some((failed) => failed.name === 'database_write') && found;
  });
  expect(notReady.status).toBe(503);
  expect(notReady.failed).toContainEqual({ name: 'database_write', reason });
  expect(notReady.failed).toContainEqual(ARTIFACTS_WRITE);

  for (const filler of fillers) await rm(filler);
  await eventually('/readyz is ready again', async () => (await readiness(server)).status === 200);
  expect(await readiness(server)).toEqual({ status: 200, failed: [] });
  expect((await version()).status).toBe(201);
  expect((await dataset()).status).toBe(201);
  expect((await ask(server, '/v1/tenants', { name: 'after' })).status).toBe(201);
});
