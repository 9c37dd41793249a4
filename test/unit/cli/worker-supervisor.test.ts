import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { superviseWorker } from '../../../cli/stack/worker-supervisor.ts';

it('starts a worker again that ends by itself, later every time, until it is stopped', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-supervisor-'));
  const lines: string[] = [];
  // Without a database a worker ends with exit code 2 at once.
  const env = { ...process.env, DATABASE_URL: '', READAPT_DATA_DIR: folder };
  let heard = (): void => undefined;
  const twice = new Promise<void>((resolve) => (heard = resolve));
  const worker = superviseWorker(env, (line) => {
    if (lines.push(line) === 2) heard();
  });
  await twice;
  await worker.stop();
  expect(lines).toEqual([
    'worker ended (exit code 2), starting it again in 500 ms',
    'worker ended (exit code 2), starting it again in 1000 ms',
  ]);
  expect(worker.pid).toBeUndefined();
  await rm(folder, { recursive: true, force: true });
});
