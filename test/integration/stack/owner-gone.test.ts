import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
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

/** Gives a test a folder of its own: a test waits while the others compute. */
async function withFolder(create: () => Promise<string>, work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await create();
  try {
    await work(folder);
  } finally {
    await removeFolder(folder);
  }
}

/** Waits until no process of the stack is left. If some are, the error lists them. */
async function everythingEnds(folder: string): Promise<void> {
  let left: string[] = [];
  await eventually(
    'every process of the stack has ended',
    async () => (left = (await processesOf(folder)).map(({ command }) => command)).length === 0,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; left are:\n${left.join('\n')}`);
  });
}

const demoFolders = async (folder: string) =>
  (await readdir(folder)).filter((name) => name.startsWith('readapt-demo-'));

/** Waits until the demo's data folder is removed. A timeout lists the remaining files. */
async function dataFolderGoes(folder: string): Promise<void> {
  await eventually('the data folder is gone', async () => (await demoFolders(folder)).length === 0).catch(
    async (error: Error) => {
      const files = await readdir(folder, { recursive: true });
      throw new Error(`${error.message}; left are:\n${files.slice(0, 50).join('\n')}`);
    },
  );
}

describe('the end of the process that started it ends the stack', () => {
  // A group is at least its process: what survives here survives the death of the process alone.
  test.concurrent('kill −9 of the process group of serve: PostgreSQL is shut down cleanly', () =>
    withFolder(createFolderWithDatabase, async (folder) => {
      const server = await serve(folder);
      const dataDir = path.join(folder, 'data');
      const postmaster = await postmasterOf(dataDir);
      killProcess(-server.child.pid!, 'SIGKILL');
      await eventually('PostgreSQL has ended', async () => !(await isAlive(postmaster)));
      await everythingEnds(folder);
      // Nothing needs recovery.
      const log = await readFile(path.join(dataDir, 'postgres/postgres.log'), 'utf8');
      expect(log).toContain('database system is shut down');
      expect(log).not.toContain('received immediate shutdown request');
      expect(await readdir(path.join(dataDir, 'postgres/data'))).not.toContain('postmaster.pid');
    }));

  // The shell between the two and Node dies of the first, which is passed on to it, and outlives the second.
  test.concurrent.each([
    ['kill −TERM of npm', 'npm run', 'SIGTERM'],
    ['kill −9 of npx', 'npx', 'SIGKILL'],
  ] as const)('%s', (_what, launcher, signal) =>
    withFolder(createFolderWithDatabase, async (folder) => {
      const server = await serve(folder, [], { launcher });
      await printed(server, /worker started/);
      const postmaster = await postmasterOf(path.join(folder, 'data'));
      server.child.kill(signal);
      await server.ended;
      await everythingEnds(folder);
      expect(await isAlive(postmaster)).toBe(false);
      expect(server.output()).not.toContain('could not close');
    }),
  );

  test.concurrent('kill −TERM of npx while the service is still loaded', () =>
    withFolder(createFolderWithDatabase, async (folder) => {
      const running = start(folder, ['serve', '--no-worker'], { launcher: 'npx' });
      await eventually('Node loads the command', async () =>
        (await processesOf(folder)).some(({ command }) => /^\S*node \S*readapt(\.js)? serve/.test(command)),
      );
      running.child.kill('SIGTERM');
      await running.ended;
      await everythingEnds(folder);
    }));
});

describe('a killed demo leaves no process and no folder', () => {
  const demo = ['demo', '--control', 'none'];

  test.concurrent.each([
    ['kill −9 of its process group', 'node', (pid: number) => -pid],
    ['kill −9 of npm above it', 'npm run', (pid: number) => pid],
  ] as const)('%s', (_what, launcher, target) =>
    withFolder(createFolder, async (folder) => {
      const running = start(folder, demo, { launcher });
      await printed(running, /API at/);
      killProcess(target(running.child.pid!), 'SIGKILL');
      await everythingEnds(folder);
      await dataFolderGoes(folder);
    }),
  );

  test.concurrent('kill −9 before PostgreSQL is ready', () =>
    withFolder(createFolder, async (folder) => {
      const running = start(folder, demo);
      await eventually('initdb is at work', async () => {
        const data = (await demoFolders(folder)).map((name) => clusterData(path.join(folder, name, 'postgres')));
        return data.some((cluster) => existsSync(path.join(cluster, 'PG_VERSION')));
      });
      killProcess(running.child.pid!, 'SIGKILL');
      await everythingEnds(folder);
      expect(await demoFolders(folder)).toEqual([]);
    }));
});
