import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../eventually.ts';
import {
  createFolderWithDatabase,
  killProcess,
  printed,
  processesOf,
  removeFolder,
  serve,
  type Served,
} from './readapt.ts';

const BASES = path.resolve('test/fixtures/golden/broken/control/base');

let folder: string;
let served: Served;

// The tests drain the same worker, one after the other.
beforeAll(async () => {
  folder = await createFolderWithDatabase();
  served = await serve(folder, [], { env: { READAPT_ALLOWED_ROOTS: BASES } });
  await printed(served, /worker started/);
});
afterAll(() => removeFolder(folder));

/** A request of the operator. */
async function ask<T>(method: 'GET' | 'POST', url: string, body?: object): Promise<T> {
  const headers = { authorization: `Bearer ${served.operatorKey}`, 'content-type': 'application/json' };
  const answer = await fetch(`${served.url}${url}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  expect(answer.ok, `${url} answered ${answer.status}`).toBe(true);
  return (await answer.json()) as T;
}

test('a drained worker beside a service keeps its process until its release, and then works on', async () => {
  const worker = await eventually('it is listed', async () => {
    const { data } = await ask<{ data: { id: string; pid: number }[] }>('GET', '/v1/workers');
    return data[0];
  });
  const now = () => ask<{ state: string; pid: number; seen_at: string }>('GET', `/v1/workers/${worker.id}`);
  await ask('POST', `/v1/workers/${worker.id}/drain?stop=false`, {});
  await eventually('it is draining', async () => (await now()).state === 'draining');

  await ask('POST', '/v1/base-models', { name: 'tiny' });
  const register = (version: string) =>
    ask<{ forecast: { id: string } }>('POST', '/v1/base-models/tiny/versions', {
      ...{ version, path: BASES, dry_run: true },
    });
  await register('1');
  const { forecast } = await register('2');
  const state = async () => (await ask<{ state: string }>('GET', `/v1/rollout-forecasts/${forecast.id}`)).state;
  const { seen_at: seen } = await now();
  await eventually('the next heartbeat comes', async () => (await now()).seen_at > seen);
  expect([await state(), (await now()).state, (await now()).pid]).toEqual(['queued', 'draining', worker.pid]);

  await ask('POST', `/v1/workers/${worker.id}/release`, {});
  await eventually('the forecast is computed', async () => (await state()) === 'computed');
  expect(await now()).toMatchObject({ state: 'ready', pid: worker.pid });
});

test('the worker beside a service that was drained by a signal is not started again', async () => {
  const worker = await eventually('the worker runs', async () =>
    (await processesOf(folder)).find(({ command }) => /readapt\.js worker/.test(command)),
  );
  killProcess(worker.pid, 'SIGUSR2');
  await printed(served, /worker ended: it was drained/);
  const { data } = await ask<{ data: object[] }>('GET', '/v1/workers');
  expect(data).toMatchObject([{ pid: worker.pid, state: 'gone' }]);
  expect(served.output()).not.toContain('restarting it');
  expect((await processesOf(folder)).filter(({ command }) => /readapt\.js worker/.test(command))).toEqual([]);
});
