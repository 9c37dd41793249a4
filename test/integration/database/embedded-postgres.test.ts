import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/embedded/index.ts';
import { processIdentity } from '../../../src/embedded/processes.ts';
import { processesOf } from '../stack/readapt.ts';

let folder: string;
const children: ChildProcess[] = [];
const servers: EmbeddedPostgres[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-embedded-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) await server.stop();
  // A server that killed processes have left running is taken over here and stopped.
  if (await pidOfServer().then(isAlive, () => false))
    await (await startEmbeddedPostgres(folder, { durable: false })).stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

/** Starts the server from this process. */
async function start(): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres(folder, { durable: false });
  servers.push(server);
  return server;
}

/** Starts the server from another process, which a test can kill. */
async function startInChild(
  mode: 'fast' | 'durable' = 'fast',
): Promise<{ child: ChildProcess; url: string; reused: boolean }> {
  const script = fileURLToPath(new URL('./embedded-child.ts', import.meta.url));
  const child = spawn(process.execPath, [compiledModule(script), folder, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  return { child, ...(JSON.parse(line) as { url: string; reused: boolean }) };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Without its watchdog, the server outlives its process, as where the system kills both for lack of memory. */
async function killWatchdog(): Promise<void> {
  const found = (await processesOf(folder)).filter(({ command }) => command.includes('watchdog-process'));
  expect(found).toHaveLength(1);
  for (const { pid } of found) process.kill(pid, 'SIGKILL');
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function pidOfServer(): Promise<number> {
  const text = await readFile(path.join(folder, 'postgres', 'data', 'postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

/** Whether a process is running. A zombie is not. */
const isAlive = async (pid: number) => (await processIdentity(pid)) !== null;
const writeRow = (url: string) => query(url, 'CREATE TABLE kept AS SELECT 42 AS value');
const readRow = (url: string) => query(url, 'SELECT value FROM kept');

test('stop ends the server, and the data is there at the next start', async () => {
  const first = await start();
  await writeRow(first.url);
  const pid = await pidOfServer();
  await first.stop();
  expect(await isAlive(pid)).toBe(false);
  const second = await start();
  expect(second.reused).toBe(false);
  expect(await readRow(second.url)).toEqual([{ value: 42 }]);
});

test('after kill −9 of its process and its watchdog the server is taken over and stopped at the end', async () => {
  const { child, url } = await startInChild();
  await writeRow(url);
  const pid = await pidOfServer();
  // A process that goes on for a moment starts its watchdog again.
  child.kill('SIGSTOP');
  await killWatchdog();
  await kill(child);
  expect(await isAlive(pid)).toBe(true);
  const restarted = await start();
  expect(restarted.reused).toBe(true);
  expect(await pidOfServer()).toBe(pid);
  expect(await readRow(restarted.url)).toEqual([{ value: 42 }]);
  await restarted.stop();
  expect(await isAlive(pid)).toBe(false);
});

test('after kill −9 of process and server it recovers all that was committed, beside its old pid file', async () => {
  const { child, url } = await startInChild('durable');
  await writeRow(url);
  const pid = await pidOfServer();
  // The server goes first: as soon as its process is gone, the watchdog shuts it down.
  process.kill(pid, 'SIGKILL');
  await kill(child);
  await expect.poll(() => isAlive(pid)).toBe(false);
  expect(await pidOfServer()).toBe(pid);
  const restarted = await start();
  expect(restarted.reused).toBe(false);
  expect(await readRow(restarted.url)).toEqual([{ value: 42 }]);
});

test('a session that is slow to notice the death of its server delays the next one', async () => {
  const { child, url } = await startInChild('durable');
  await writeRow(url);
  const session = new pg.Client({ connectionString: url });
  session.on('error', () => undefined);
  await session.connect();
  const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const { pid } = rows[0]!;
  process.kill(pid, 'SIGSTOP');
  try {
    process.kill(await pidOfServer(), 'SIGKILL');
    await kill(child);
    const restarting = start();
    const log = path.join(folder, 'postgres', 'postgres.log');
    const refusals = async () => (await readFile(log, 'utf8')).match(/pre-existing shared memory block/g)?.length ?? 0;
    const tooSoon = restarting.then(() => Promise.reject(new Error('it did not wait for the session')));
    await Promise.race([tooSoon, expect.poll(refusals).toBeGreaterThan(3)]);
    process.kill(pid, 'SIGCONT');
    expect(await readRow((await restarting).url)).toEqual([{ value: 42 }]);
  } finally {
    if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
  }
});

test('a pid file that names a process of something else is no server', async () => {
  const first = await start();
  await writeRow(first.url);
  await first.stop();
  const data = path.join(folder, 'postgres', 'data');
  await writeFile(
    path.join(data, 'postmaster.pid'),
    `${process.pid}\n${data}\n1700000000\n1\n\n127.0.0.1\n\nready   \n`,
  );
  const second = await start();
  expect(await readRow(second.url)).toEqual([{ value: 42 }]);
});

test('a second process joins the server and leaves it running', async () => {
  const { child } = await startInChild();
  const joined = await start();
  expect(joined.reused).toBe(true);
  await joined.stop();
  expect(await isAlive(await pidOfServer())).toBe(true);
  await kill(child);
});

test('two processes that start a new folder at the same time share one server', async () => {
  const both = await Promise.all([startInChild(), startInChild()]);
  await writeRow((both[0] as { url: string }).url);
  expect(await readRow((both[1] as { url: string }).url)).toEqual([{ value: 42 }]);
});

test('the password is needed', async () => {
  const { url } = await start();
  const wrong = new URL(url);
  wrong.password = 'guess';
  await expect(query(wrong.toString(), 'SELECT 1')).rejects.toThrow('password authentication failed');
});
