import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { processIdentity } from '../../../src/platform/embedded/processes.ts';
import { endServer } from '../../../src/platform/embedded/running-server.ts';
import { processesOf } from '../stack/readapt.ts';
import { copyDatabaseFolder } from '../support/database-folder.ts';

let folder: string;
const children: ChildProcess[] = [];
const servers: EmbeddedPostgres[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-embedded-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) await server.stop();
  // Killed processes may have left the server running.
  await endServer(path.join(folder, 'postgres', 'data'));
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
});

/** Spares a test the seconds that it takes to create a cluster. */
const createCluster = () => copyDatabaseFolder(inject('databaseFolder'), path.join(folder, 'postgres'));

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

/** Kills the watchdog. Without it the server outlives its process, as when the system kills both for lack of memory. */
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

test('stop ends the server, and the data is there at the next start, whatever process a pid file names', async () => {
  await createCluster();
  const first = await start();
  await writeRow(first.url);
  const pid = await pidOfServer();
  await first.stop();
  expect(await isAlive(pid)).toBe(false);
  const data = path.join(folder, 'postgres', 'data');
  await writeFile(
    path.join(data, 'postmaster.pid'),
    `${process.pid}\n${data}\n1700000000\n1\n\n127.0.0.1\n\nready   \n`,
  );
  const second = await start();
  expect(second.reused).toBe(false);
  expect(await readRow(second.url)).toEqual([{ value: 42 }]);
});

test('after kill −9 of its process and its watchdog the server is taken over and stopped at the end', async () => {
  await createCluster();
  const { child, url } = await startInChild();
  await writeRow(url);
  const pid = await pidOfServer();
  // A process that keeps running would restart its watchdog.
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

const SLOW_SESSION =
  'after kill −9 of process and server the next one waits for a session that is slow to notice that, ' +
  'and recovers all that was committed, despite the pid file';
test(SLOW_SESSION, async () => {
  await createCluster();
  const { child, url } = await startInChild('durable');
  await writeRow(url);
  const session = new pg.Client({ connectionString: url });
  session.on('error', () => undefined);
  await session.connect();
  const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const { pid } = rows[0]!;
  const server = await pidOfServer();
  process.kill(pid, 'SIGSTOP');
  try {
    // The server is killed first: once its process is gone, the watchdog shuts it down.
    process.kill(server, 'SIGKILL');
    await kill(child);
    await expect.poll(() => isAlive(server)).toBe(false);
    expect(await pidOfServer()).toBe(server);
    const restarting = start();
    const log = path.join(folder, 'postgres', 'postgres.log');
    const refusals = async () => (await readFile(log, 'utf8')).match(/pre-existing shared memory block/g)?.length ?? 0;
    const tooSoon = restarting.then(() => Promise.reject(new Error('it did not wait for the session')));
    await Promise.race([tooSoon, expect.poll(refusals).toBeGreaterThan(3)]);
    process.kill(pid, 'SIGCONT');
    const restarted = await restarting;
    expect(restarted.reused).toBe(false);
    expect(await readRow(restarted.url)).toEqual([{ value: 42 }]);
  } finally {
    if (await isAlive(pid)) process.kill(pid, 'SIGCONT');
  }
});

test('a second process joins the server with its password, which is needed, and leaves it running', async () => {
  await createCluster();
  const { child } = await startInChild();
  const joined = await start();
  expect(joined.reused).toBe(true);
  const wrong = new URL(joined.url);
  wrong.password = 'guess';
  await expect(query(wrong.toString(), 'SELECT 1')).rejects.toThrow('password authentication failed');
  await joined.stop();
  expect(await isAlive(await pidOfServer())).toBe(true);
  await kill(child);
});

test('two processes that start a new folder at the same time share one server', async () => {
  const both = await Promise.all([startInChild(), startInChild()]);
  await writeRow((both[0] as { url: string }).url);
  expect(await readRow((both[1] as { url: string }).url)).toEqual([{ value: 42 }]);
});
