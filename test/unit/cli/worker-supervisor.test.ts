import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { superviseWorker } from '../../../cli/stack/worker-supervisor.ts';
import { compiledCommand } from '../../compiled/index.ts';

it('restarts a worker that ends by itself, later each time, until it is stopped', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-test-supervisor-'));
  const lines: string[] = [];
  // Without a database, a worker ends at once with exit code 2.
  const env = { ...process.env, DATABASE_URL: '', READAPT_DATA_DIR: folder };
  let heard = (): void => undefined;
  const twice = new Promise<void>((resolve) => (heard = resolve));
  const log = (line: string): void => {
    if (lines.push(line) === 2) heard();
  };
  const worker = superviseWorker(env, log, compiledCommand());
  await twice;
  await worker.stop();
  expect(lines).toEqual([
    'worker ended (exit code 2), restarting it in 500 ms',
    'worker ended (exit code 2), restarting it in 1000 ms',
  ]);
  expect(worker.pid).toBeUndefined();
  await rm(folder, { recursive: true, force: true });
});
