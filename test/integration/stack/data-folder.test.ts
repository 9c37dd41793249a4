import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiledCommand } from '../../compiled/index.ts';
import { startEmbeddedPostgres } from '../../../src/platform/embedded/index.ts';
import { bearer } from '../support/index.ts';
import { createFolderWithDatabase, isAlive, postmasterOf, removeFolder, serve, start } from './readapt.ts';

let folder: string;

beforeEach(async () => {
  folder = await createFolderWithDatabase();
});
afterEach(() => removeFolder(folder));

test('a second serve on the same data folder is refused with the process that uses it and the setting', async () => {
  const dataDir = path.join(folder, 'data');
  const first = await serve(folder, ['--no-worker']);
  const second = await start(folder, ['serve']).whole();
  expect(second.code).toBe(2);
  expect(second.output).toContain(
    `readapt: the data folder ${dataDir} is in use by process ${first.child.pid} (${process.execPath} ` +
      `${compiledCommand()} serve --no-worker): stop that process, ` +
      'or set READAPT_DATA_DIR (--data-dir) to another folder',
  );

  const answer = await fetch(`${first.url}/v1/tenants`, { headers: bearer(first.operatorKey!) });
  expect(answer.status).toBe(200);
  const postmaster = await postmasterOf(dataDir);
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  expect(await isAlive(postmaster)).toBe(false);
});

test('the server stays while anybody uses it, and ends with the last one', async () => {
  const dataDir = path.join(folder, 'data');
  const first = await startEmbeddedPostgres(dataDir, { durable: false });
  const served = await serve(folder, ['--no-worker']);
  const postmaster = await postmasterOf(dataDir);
  await first.stop();
  expect(await isAlive(postmaster)).toBe(true);
  const answer = await fetch(`${served.url}/v1/tenants`, { headers: bearer(served.operatorKey!) });
  expect(answer.status).toBe(200);
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
});
