import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../queue/test-queue.ts';
import { createFolder, killProcess, printed, processesOf, removeFolder, serve } from './readapt.ts';

let folder: string;

beforeEach(async () => {
  folder = await createFolder();
});
afterEach(() => removeFolder(folder));

test('the worker beside a service that was drained by a signal is not started again', async () => {
  const served = await serve(folder);
  await printed(served, /worker started/);
  const worker = await eventually('the worker runs', async () =>
    (await processesOf(folder)).find(({ command }) => /readapt\.js worker/.test(command)),
  );
  killProcess(worker.pid, 'SIGUSR2');
  await printed(served, /worker ended: it was drained/);
  const authorization = `Bearer ${served.operatorKey}`;
  const list = async () => {
    const answer = await fetch(`${served.url}/v1/workers`, { headers: { authorization } });
    return ((await answer.json()) as { data: { pid: number; state: string }[] }).data;
  };
  expect(await list()).toMatchObject([{ pid: worker.pid, state: 'gone' }]);
  expect(served.output()).not.toContain('restarting it');
  expect((await processesOf(folder)).filter(({ command }) => /readapt\.js worker/.test(command))).toEqual([]);
});
