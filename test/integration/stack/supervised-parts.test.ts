import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bearer } from '../support/index.ts';
import { eventually } from '../../eventually.ts';
import {
  createFolderWithDatabase,
  killProcess,
  postmasterOf,
  printed,
  processesOf,
  removeFolder,
  serve,
  type Served,
} from './readapt.ts';

const BASE = path.resolve('test/fixtures/golden/broken/control/base');

let folder: string;
let server: Served;

// The tests use one stack, each as the one before has left it.
beforeAll(async () => {
  folder = await createFolderWithDatabase();
  server = await serve(folder, [], { env: { READAPT_ALLOWED_ROOTS: BASE } });
  await printed(server, /worker started/);
});
afterAll(() => removeFolder(folder));

interface Answer<T> {
  status: number;
  body: T;
}

/** A request of the operator: a POST if it has a body. */
async function ask<T = Record<string, unknown>>(url: string, body?: object): Promise<Answer<T>> {
  const response = await fetch(`${server.url}${url}`, {
    headers: { ...bearer(server.operatorKey!), ...(body && { 'content-type': 'application/json' }) },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** A request of the operator that has to succeed. @returns the body of the answer */
async function get<T>(url: string, body?: object): Promise<T> {
  const answer = await ask<T>(url, body);
  expect(answer.status, `${url} answered ${JSON.stringify(answer.body)}`).toBeLessThan(300);
  return answer.body;
}

interface Check {
  name: string;
  ok: boolean;
  reason: string | null;
}

const readiness = () => ask<{ checks: Check[] }>('/readyz');
const checkOf = ({ body }: Awaited<ReturnType<typeof readiness>>, name: string) =>
  body.checks.find((check) => check.name === name);

/** Kills PostgreSQL while requests are sent, and waits until it is running again. */
async function killPostgres(): Promise<void> {
  const dataDir = path.join(folder, 'data');
  const killed = await postmasterOf(dataDir);
  const statuses = new Set<number>();
  let hammering = true;
  const hammer = (async () => {
    // The last request starts when everything works again.
    for (let isLast = false; !isLast; await sleep(20)) {
      isLast = !hammering;
      statuses.add((await ask('/v1/tenants')).status);
    }
  })();
  try {
    killProcess(killed, 'SIGKILL');
    const broken = await eventually('/readyz says that PostgreSQL has ended', async () => {
      const answer = await readiness();
      return checkOf(answer, 'embedded_postgres')?.ok === false && answer;
    });
    expect(broken.status).toBe(503);
    expect(checkOf(broken, 'embedded_postgres')?.reason).toMatch(/PostgreSQL has ended and is being started again/);
    // The database may be up a moment before its supervision notices.
    expect([null, 'the database cannot be reached: try again']).toContain(checkOf(broken, 'database')?.reason);
    expect((await ask('/healthz')).status).toBe(200);
    await eventually('/readyz says that PostgreSQL is there again', async () => {
      const answer = await readiness();
      return ['embedded_postgres', 'database'].every((name) => checkOf(answer, name)?.ok);
    });
  } finally {
    hammering = false;
    await hammer;
  }
  expect([...statuses].sort()).toEqual([200, 503]);
  expect(await postmasterOf(dataDir)).not.toBe(killed);
}

const KILLED_DATABASE =
  'after kill −9 of PostgreSQL it is started again, API and worker go on, and /readyz says why it waits';
test(KILLED_DATABASE, async () => {
  await get('/v1/tenants', { name: 'before' });
  for (const round of [1, 2]) {
    await killPostgres();
    await get('/v1/tenants', { name: `after-${round}` });
  }
  const { data } = await get<{ data: { name: string }[] }>('/v1/tenants');
  expect(data.map(({ name }) => name).sort()).toEqual(['after-1', 'after-2', 'before']);
  // The worker still takes jobs from the queue.
  await get('/v1/base-models', { name: 'demo' });
  const versions = '/v1/base-models/demo/versions';
  await get(versions, { version: '1', path: BASE });
  const { rollout } = await get<{ rollout: { id: string } }>(versions, { version: '2', path: BASE, rollout: {} });
  await eventually(
    'the rollout is completed',
    async () => (await get<{ state: string }>(`/v1/rollouts/${rollout.id}`)).state === 'completed',
  );
  await eventually('/readyz is ready again', async () => (await readiness()).status === 200);
});

test('a drained worker beside a service keeps its process until its release, and then works on', async () => {
  const { data } = await get<{ data: { id: string; pid: number }[] }>('/v1/workers');
  const worker = data[0]!;
  const now = () => get<{ state: string; pid: number }>(`/v1/workers/${worker.id}`);
  await get(`/v1/workers/${worker.id}/drain?stop=false`, {});
  await eventually('it is draining', async () => (await now()).state === 'draining');

  const { forecast } = await get<{ forecast: { id: string } }>('/v1/base-models/demo/versions', {
    ...{ version: '3', path: BASE, dry_run: true },
  });
  const state = async () => (await get<{ state: string }>(`/v1/rollout-forecasts/${forecast.id}`)).state;
  expect([await state(), await now()]).toMatchObject(['queued', { state: 'draining', pid: worker.pid }]);

  await get(`/v1/workers/${worker.id}/release`, {});
  await eventually('the forecast is computed', async () => (await state()) === 'computed');
  expect(await now()).toMatchObject({ state: 'ready', pid: worker.pid });
});

test('the worker beside a service that was drained by a signal is not started again', async () => {
  const worker = await eventually('the worker runs', async () =>
    (await processesOf(folder)).find(({ command }) => /readapt\.js worker/.test(command)),
  );
  killProcess(worker.pid, 'SIGUSR2');
  await printed(server, /worker ended: it was drained/);
  const { data } = await get<{ data: object[] }>('/v1/workers');
  expect(data).toMatchObject([{ pid: worker.pid, state: 'gone' }]);
  expect(server.output()).not.toContain('restarting it');
  expect((await processesOf(folder)).filter(({ command }) => /readapt\.js worker/.test(command))).toEqual([]);
});
