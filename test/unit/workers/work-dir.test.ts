import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckpointStore } from '../../../core/training/checkpoint.ts';
import { removeJobFolder, takeOverWorkDir } from '../../../workers/adaptations/work-dir.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-work-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const storeOf = (workDir: string) => new CheckpointStore(path.join(workDir, 'checkpoints'));
const checkpoint = (step: number) => ({ state: { step }, tensors: new Map([['a', Float32Array.of(step)]]) });

test('an attempt resumes from the one before it, which cannot write into its folder any more', async () => {
  const first = storeOf(await takeOverWorkDir(folder, 'job', 1));
  await first.save(checkpoint(1));
  const second = storeOf(await takeOverWorkDir(folder, 'job', 2));
  expect(await second.latest()).toMatchObject({ state: { step: 1 } });
  // The first attempt was only stopped for a while, and continues.
  await first.save(checkpoint(7)).catch(() => undefined);
  expect(await second.latest()).toMatchObject({ state: { step: 1 } });
  await second.save(checkpoint(2));
  const third = storeOf(await takeOverWorkDir(folder, 'job', 3));
  expect(await third.latest()).toMatchObject({ state: { step: 2 } });
});

test('attempts that left nothing are passed over', async () => {
  await storeOf(await takeOverWorkDir(folder, 'job', 2)).save(checkpoint(5));
  expect(await storeOf(await takeOverWorkDir(folder, 'job', 9)).latest()).toMatchObject({ state: { step: 5 } });
});

test('an old attempt does not take over the folder of a newer one', async () => {
  await storeOf(await takeOverWorkDir(folder, 'job', 4)).save(checkpoint(5));
  expect(await storeOf(await takeOverWorkDir(folder, 'job', 3)).latest()).toBeNull();
  expect((await readdir(path.join(folder, 'job'))).sort()).toEqual(['attempt-3', 'attempt-4']);
});

test('a job that was begun anew does not resume from what its first run has left', async () => {
  await storeOf(await takeOverWorkDir(folder, 'job', 2)).save(checkpoint(5));
  expect(await storeOf(await takeOverWorkDir(folder, 'job', 3, 2)).latest()).toBeNull();
  await storeOf(path.join(folder, 'job', 'attempt-3')).save(checkpoint(1));
  expect(await storeOf(await takeOverWorkDir(folder, 'job', 4, 2)).latest()).toMatchObject({ state: { step: 1 } });
});

test("a job's folder is removed as a whole", async () => {
  const own = await takeOverWorkDir(folder, 'job', 1);
  await storeOf(own).save(checkpoint(3));
  await mkdir(path.join(own, 'candidate-1'));
  await writeFile(path.join(own, 'candidate-1', 'adapter_config.json'), '{}');
  await removeJobFolder(folder, 'job');
  expect(await readdir(folder)).toEqual([]);
});
