import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { createFilesystemStore } from '../../../src/platform/artifacts/index.ts';

const CHILD = fileURLToPath(new URL('./scratch-child.ts', import.meta.url));
const LONG_AGO = new Date(Date.now() - 7 * 3_600_000);

let root: string;
let child: ChildProcess;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-scratch-'));
});
afterEach(async () => {
  child.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

/** Starts a process that holds a scratch folder. @returns the folder's name */
async function holder(): Promise<string> {
  child = fork(compiledModule(CHILD), [root], { execArgv: [] });
  const [name] = (await once(child, 'message')) as [string];
  return name;
}
const scratch = () => readdir(path.join(root, 'tmp'));

test('the scratch of a living process stays, however old it is', async () => {
  const name = await holder();
  await utimes(path.join(root, 'tmp', name), LONG_AGO, LONG_AGO);
  await createFilesystemStore(root);
  expect(await scratch()).toEqual([name]);
});

test('the scratch of a dead process is removed at once, however young it is', async () => {
  await holder();
  child.kill('SIGKILL');
  await once(child, 'exit');
  await createFilesystemStore(root);
  expect(await scratch()).toEqual([]);
});

test('a process of another machine is dead when it has been silent for an hour', async () => {
  await holder();
  const [speaking, silent] = ['elsewhere.17.a', 'elsewhere.18.b'];
  for (const owner of [speaking, silent]) {
    await writeFile(path.join(root, 'owners', owner), '');
    await mkdir(path.join(root, 'tmp', `${owner}~1`));
  }
  await utimes(path.join(root, 'owners', silent), LONG_AGO, LONG_AGO);
  await createFilesystemStore(root);
  const left = await scratch();
  expect(left).toContain(`${speaking}~1`);
  expect(left).not.toContain(`${silent}~1`);
});
