import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compiledCommand } from '../../compiled/index.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { bearer } from '../support/index.ts';
import { createFolderWithDatabase, isAlive, postmasterOf, removeFolder, serve, start, type Served } from './readapt.ts';

// The tests are one story of one data folder, whose server this process and a service use.
let folder: string;
let dataDir: string;
let postgres: EmbeddedPostgres;
let served: Served;

beforeAll(async () => {
  folder = await createFolderWithDatabase();
  dataDir = path.join(folder, 'data');
  postgres = await startEmbeddedPostgres(dataDir, { durable: false });
  served = await serve(folder, ['--no-worker']);
});
afterAll(async () => {
  // Does nothing after the test that stops it.
  await postgres?.stop();
  await removeFolder(folder);
});

async function statusOfAnswer(): Promise<number> {
  return (await fetch(`${served.url}/v1/tenants`, { headers: bearer(served.operatorKey!) })).status;
}

test('a second serve on the same data folder is refused with the process that uses it and the setting', async () => {
  const second = await start(folder, ['serve']).whole();
  expect(second.code).toBe(2);
  expect(second.output).toContain(
    `readapt: the data folder ${dataDir} is in use by process ${served.child.pid} (${process.execPath} ` +
      `${compiledCommand()} serve --no-worker): stop that process, ` +
      'or set READAPT_DATA_DIR (--data-dir) to another folder',
  );
  expect(await statusOfAnswer()).toBe(200);
});

test('the server stays while anybody uses it, and ends with the last one', async () => {
  const postmaster = await postmasterOf(dataDir);
  await postgres.stop();
  expect(await isAlive(postmaster)).toBe(true);
  expect(await statusOfAnswer()).toBe(200);
  served.child.kill('SIGTERM');
  expect(await served.ended).toBe(0);
  expect(await isAlive(postmaster)).toBe(false);
});

test('a service that is stopped as soon as its address is read ends in order', async () => {
  const running = start(folder, ['serve', '--no-worker']);
  running.child.stdout!.on('data', () => {
    if (running.output().includes('readapt serves')) running.child.kill('SIGTERM');
  });
  expect(await running.ended).toBe(0);
  await expect(postmasterOf(dataDir)).rejects.toThrow('ENOENT');
});
