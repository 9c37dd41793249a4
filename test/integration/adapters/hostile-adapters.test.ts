import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bearer } from '../support/index.ts';
import { hostileAdapters, soundAdapter, type AdapterFiles } from '../support/hostile-adapters.ts';
import { createAdapterWorld, rawTar, TAR, type AdapterWorld } from './support.ts';

const API = fileURLToPath(new URL('./api-process.ts', import.meta.url));

/** Bounds of an answer and of the longest time in which /healthz does not answer: several times what two cores need. */
const ANSWER_MS = 10_000;
const STALL_MS = 1000;
/** Largest resident set of the API. */
const API_BYTES = 512 * 2 ** 20;

interface Api {
  readonly url: string;
  readonly process: ChildProcess;
}

let world: AdapterWorld;
let adapterId: string;
let api: Api;
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
  adapterId = (await world.createAdapter('target')).id;
  api = await startApi();
  await upload(soundAdapter());
});
afterAll(async () => {
  api.process.kill('SIGKILL');
  await world.app.close();
});

async function startApi(): Promise<Api> {
  const env = {
    ...process.env,
    DATABASE_URL: world.app.database.url,
    READAPT_DATA_DIR: world.app.dataDir,
    READAPT_ALLOWED_ROOTS: world.app.allowedRoot,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
  };
  const child = fork(API, { execArgv: ['--import', 'tsx'], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  return { url, process: child };
}

const archiveOf = (files: AdapterFiles) => rawTar(Object.entries(files).map(([path, content]) => ({ path, content })));

function post(archive: Buffer): Promise<Response> {
  return fetch(`${api.url}/v1/adapters/${adapterId}/versions?base_model_version=control`, {
    method: 'POST',
    body: new Uint8Array(archive),
    headers: { ...TAR, ...bearer(world.acme.key) },
  });
}

const upload = (files: AdapterFiles) => post(archiveOf(files));

/** Runs `work` while /healthz is asked again and again. @returns the longest time until an answer, in milliseconds */
async function longestStall(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let done = false;
  const probe = async (): Promise<void> => {
    while (!done) {
      const started = performance.now();
      expect((await fetch(`${api.url}/healthz`)).status).toBe(200);
      longest = Math.max(longest, performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const probing = probe();
  await work().finally(() => (done = true));
  await probing;
  return longest;
}

/** Its largest resident set so far, in bytes; 0 on systems without /proc. */
async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}

describe('a hostile upload is refused soon with a problem, while the API goes on answering:', () => {
  it.each(Object.entries(hostileAdapters))('%s', async (name, { files, refusal }) => {
    const archive = archiveOf(files());
    const started = performance.now();
    let response: Response | undefined;
    const stall = await longestStall(async () => (response = await post(archive)));
    const elapsed = performance.now() - started;
    const problem = (await response!.json()) as Record<string, string>;
    const memory = await memoryOf(api.process.pid!);
    console.log(
      `${name}: ${response!.status} ${problem.code} after ${elapsed.toFixed(0)} ms, /healthz within ${stall.toFixed(0)} ms, API ${(memory / 2 ** 20).toFixed(0)} MiB`,
    );
    expect(response!.headers.get('content-type')).toContain('application/problem+json');
    expect(problem).toMatchObject({ status: 422, code: 'invalid_adapter', detail: expect.stringMatching(refusal) });
    expect(JSON.stringify(problem).length).toBeLessThan(2000);
    expect(elapsed).toBeLessThan(ANSWER_MS);
    expect(stall).toBeLessThan(STALL_MS);
    expect(memory).toBeLessThan(API_BYTES);
  });

  it('and a sound one is accepted before and after', async () => {
    const started = performance.now();
    const response = await upload(soundAdapter());
    console.log(`a sound adapter: ${response.status} after ${(performance.now() - started).toFixed(0)} ms`);
    expect(response.status, await response.text()).toBe(201);
  });

  it('and all of them at once', async () => {
    const archives = Object.values(hostileAdapters).map(({ files }) => archiveOf(files()));
    const small = archives.filter(({ length }) => length < 10_000_000);
    const started = performance.now();
    const statuses: number[] = [];
    const stall = await longestStall(async () => {
      const responses = await Promise.all(small.map(post));
      statuses.push(...responses.map(({ status }) => status));
    });
    console.log(
      `${small.length} at once: ${(performance.now() - started).toFixed(0)} ms, /healthz ${stall.toFixed(0)} ms`,
    );
    expect(new Set(statuses)).toEqual(new Set([422]));
    expect(stall).toBeLessThan(STALL_MS);
  });
});

it.runIf(process.platform === 'linux')('inspections end with the API, however it ends', async () => {
  const own = await startApi();
  const pid = own.process.pid!;
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').map(Number);
  expect(children.length).toBeGreaterThan(0);
  own.process.kill('SIGKILL');
  await once(own.process, 'exit');
  await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
