import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bearer } from '../support/index.ts';
import { eventually } from '../../eventually.ts';
import {
  createFolderWithDatabase,
  killProcess,
  postmasterOf,
  printed,
  removeFolder,
  serve,
  type Served,
} from './readapt.ts';

const BASE = path.resolve('test/fixtures/golden/broken/control/base');

let folder: string;

beforeEach(async () => {
  folder = await createFolderWithDatabase();
});
afterEach(() => removeFolder(folder));

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function ask(server: Served, url: string, body?: object): Promise<Answer> {
  const response = await fetch(`${server.url}${url}`, {
    headers: { ...bearer(server.operatorKey!), ...(body && { 'content-type': 'application/json' }) },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const checkOf = ({ body }: Answer, name: string) =>
  (body.checks as { name: string; ok: boolean; reason: string | null }[]).find((check) => check.name === name);

const KILLED_DATABASE =
  'after kill −9 of PostgreSQL it is started again, API and worker go on, and /readyz says why it waits';
test(KILLED_DATABASE, async () => {
  const server = await serve(folder, [], { env: { READAPT_ALLOWED_ROOTS: BASE } });
  await printed(server, /worker started/);
  expect((await ask(server, '/v1/tenants', { name: 'before' })).status).toBe(201);
  const dataDir = path.join(folder, 'data');

  for (const round of [1, 2]) {
    const killed = await postmasterOf(dataDir);
    const statuses = new Set<number>();
    let hammering = true;
    const hammer = (async () => {
      // The last request starts when everything works again.
      for (let isLast = false; !isLast; await sleep(20)) {
        isLast = !hammering;
        statuses.add((await ask(server, '/v1/tenants')).status);
      }
    })();
    try {
      killProcess(killed, 'SIGKILL');
      const broken = await eventually('/readyz says that PostgreSQL has ended', async () => {
        const answer = await ask(server, '/readyz');
        return checkOf(answer, 'embedded_postgres')?.ok === false && answer;
      });
      expect(broken.status).toBe(503);
      expect(checkOf(broken, 'embedded_postgres')?.reason).toMatch(/PostgreSQL has ended and is being started again/);
      // The database may be up a moment before its supervision notices.
      expect([null, 'the database cannot be reached: try again']).toContain(checkOf(broken, 'database')?.reason);
      expect((await ask(server, '/healthz')).status).toBe(200);
      await eventually('/readyz is ready again', async () => (await ask(server, '/readyz')).status === 200);
    } finally {
      hammering = false;
      await hammer;
    }
    expect([...statuses].sort()).toEqual([200, 503]);
    expect(await postmasterOf(dataDir)).not.toBe(killed);
    expect((await ask(server, '/v1/tenants', { name: `after-${round}` })).status).toBe(201);
  }

  const { data } = (await ask(server, '/v1/tenants')).body as { data: { name: string }[] };
  expect(data.map(({ name }) => name).sort()).toEqual(['after-1', 'after-2', 'before']);
  // The worker still takes jobs from the queue.
  await ask(server, '/v1/base-models', { name: 'demo' });
  const versions = '/v1/base-models/demo/versions';
  expect((await ask(server, versions, { version: '1', path: BASE })).status).toBe(201);
  const { rollout } = (await ask(server, versions, { version: '2', path: BASE, rollout: {} })).body as {
    rollout: { id: string };
  };
  await eventually(
    'the rollout is completed',
    async () => (await ask(server, `/v1/rollouts/${rollout.id}`)).body.state === 'completed',
  );
});
