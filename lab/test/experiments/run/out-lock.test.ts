import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withOutLock } from '../../../experiments/run/out-lock.ts';

let out: string;
beforeEach(async () => {
  out = await mkdtemp(path.join(tmpdir(), 'readapt-lock-'));
});
afterEach(() => rm(out, { recursive: true, force: true }));

it('one process measures in a folder, and another one is told which', async () => {
  await writeFile(path.join(out, 'run.lock'), String(process.ppid));
  await expect(withOutLock(out, () => Promise.resolve())).rejects.toThrow(
    `process ${process.ppid} is measuring in ${out}`,
  );
  expect(await readdir(out)).toEqual(['run.lock']);
});

it('the lock of a dead process is taken over, and nothing is left of it', async () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  await writeFile(path.join(out, 'run.lock'), String(pid));
  const during = await withOutLock(out, () => readdir(out));
  expect(during).toEqual(['run.lock']);
  expect(await readdir(out)).toEqual([]);
});
