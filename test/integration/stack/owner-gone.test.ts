import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clusterData } from '../../../src/platform/embedded/cluster.ts';
import { eventually } from '../../eventually.ts';
import {
  createFolder,
  createFolderWithDatabase,
  isAlive,
  killProcess,
  postmasterOf,
  printed,
  processesOf,
  removeFolder,
  serve,
  start,
} from './readapt.ts';

let folder: string;

afterEach(() => removeFolder(folder));

/** Gives the tests of a block the folder of a service that was started before. */
const useFolderWithDatabase = () =>
  beforeEach(async () => {
    folder = await createFolderWithDatabase();
  });

/** Waits until no process of the stack is left. If some are, the error lists them. */
async function everythingEnds(): Promise<void> {
  let left: string[] = [];
  await eventually(
    'every process of the stack has ended',
    async () => (left = (await processesOf(folder)).map(({ command }) => command)).length === 0,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; left are:\n${left.join('\n')}`);
  });
}

const demoFolders = async () => (await readdir(folder)).filter((name) => name.startsWith('readapt-demo-'));

/** Waits until the demo's data folder is removed. A timeout lists the remaining files. */
async function dataFolderGoes(): Promise<void> {
  await eventually('the data folder is gone', async () => (await demoFolders()).length === 0).catch(
    async (error: Error) => {
      const files = await readdir(folder, { recursive: true });
      throw new Error(`${error.message}; left are:\n${files.slice(0, 50).join('\n')}`);
    },
  );
}

describe('PostgreSQL ends with the process that started it', () => {
  useFolderWithDatabase();

  // A group is at least its process: what survives here survives the death of the process alone.
  test('kill −9 of the process group of serve', async () => {
    const server = await serve(folder);
    const dataDir = path.join(folder, 'data');
    const postmaster = await postmasterOf(dataDir);
    killProcess(-server.child.pid!, 'SIGKILL');
    await eventually('PostgreSQL has ended', async () => !(await isAlive(postmaster)));
    await everythingEnds();
    // PostgreSQL was shut down cleanly, so nothing needs recovery.
    const log = await readFile(path.join(dataDir, 'postgres/postgres.log'), 'utf8');
    expect(log).toContain('database system is shut down');
    expect(log).not.toContain('received immediate shutdown request');
    expect(await readdir(path.join(dataDir, 'postgres/data'))).not.toContain('postmaster.pid');
  });
});

describe('the end of npm or npx ends the stack in order', () => {
  useFolderWithDatabase();

  // The shell between the two and Node dies of the first, which is passed on to it, and outlives the second.
  test.each([
    ['kill −TERM of npm', 'npm run', 'SIGTERM'],
    ['kill −9 of npx', 'npx', 'SIGKILL'],
  ] as const)('%s', async (_what, launcher, signal) => {
    const server = await serve(folder, [], { launcher });
    await printed(server, /worker started/);
    const postmaster = await postmasterOf(path.join(folder, 'data'));
    server.child.kill(signal);
    await server.ended;
    await everythingEnds();
    expect(await isAlive(postmaster)).toBe(false);
    expect(server.output()).not.toContain('could not close');
  });

  test('kill −TERM of npx while the service is still loaded', async () => {
    const running = start(folder, ['serve', '--no-worker'], { launcher: 'npx' });
    await eventually('Node loads the command', async () =>
      (await processesOf(folder)).some(({ command }) => /^\S*node \S*readapt(\.js)? serve/.test(command)),
    );
    running.child.kill('SIGTERM');
    await running.ended;
    await everythingEnds();
  });
});

describe('a killed demo leaves no process and no folder', () => {
  const demo = ['demo', '--control', 'none'];

  beforeEach(async () => {
    folder = await createFolder();
  });

  test.each([
    ['kill −9 of its process group', 'node', (pid: number) => -pid],
    ['kill −9 of npm above it', 'npm run', (pid: number) => pid],
  ] as const)('%s', async (_what, launcher, target) => {
    const running = start(folder, demo, { launcher });
    await printed(running, /API at/);
    killProcess(target(running.child.pid!), 'SIGKILL');
    await everythingEnds();
    await dataFolderGoes();
  });

  test('kill −9 before PostgreSQL is ready', async () => {
    const running = start(folder, demo);
    await eventually('initdb is at work', async () => {
      const data = (await demoFolders()).map((name) => clusterData(path.join(folder, name, 'postgres')));
      return data.some((cluster) => existsSync(path.join(cluster, 'PG_VERSION')));
    });
    killProcess(running.child.pid!, 'SIGKILL');
    await everythingEnds();
    expect(await demoFolders()).toEqual([]);
  });
});
