import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { startServer, type RunningServer } from '../../../src/api/server.ts';
import { bearer, createTestDatabase, type TestDatabase } from '../support/index.ts';

let folder: string;
let database: TestDatabase;
const running: RunningServer[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-server-'));
  database = await createTestDatabase({ empty: true });
});
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
  await database.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(env: Record<string, string> = {}): Promise<RunningServer> {
  const config = loadConfig({
    DATABASE_URL: database.url,
    READAPT_DATA_DIR: folder,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: 'silent',
    ...env,
  });
  const server = await startServer(config);
  running.push(server);
  return server;
}

test('the first start gives the operator key, and it works over HTTP; the second start gives none', async () => {
  const first = await start();
  expect(first.operatorKey).toMatch(/^rdp_/);
  const ask = async (server: RunningServer) =>
    (await fetch(`${server.url}/v1/tenants`, { headers: bearer(first.operatorKey ?? '') })).status;
  expect(await ask(first)).toBe(200);
  expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
  await first.stop();
  await first.stop();
  await expect(fetch(`${first.url}/healthz`)).rejects.toThrow();

  const second = await start();
  expect(second.operatorKey).toBeNull();
  expect(await ask(second)).toBe(200);
});

test('a server keeps the serving folder, and says when it last did', async () => {
  const serving = path.join(folder, 'serving');
  const server = await start({ READAPT_SERVING_FOLDER: serving });
  const followed = async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^readapt_serving_folder_followed_timestamp_seconds (\S+)$/m.exec(metrics)?.[1]);
  };
  await expect.poll(followed).toBeGreaterThan(Date.now() / 1000 - 60);
  expect(await readdir(serving)).toEqual(['.readapt']);
  expect(await server.deps.db.processLease.count({ where: { name: { startsWith: 'serving_folder:' } } })).toBe(1);
  await server.stop();
});

test('two servers that start on one new database make one operator key', async () => {
  const servers = await Promise.all([start(), start()]);
  expect(servers.filter((server) => server.operatorKey !== null)).toHaveLength(1);
});

test('a request that runs when the server stops is answered, and its connection holds up nothing', async () => {
  const server = await start();
  const key = server.operatorKey ?? '';
  let started: () => void = () => undefined;
  const arrived = new Promise<void>((resolve) => (started = resolve));
  const { check } = server.deps.producer;
  server.deps.producer.check = async () => {
    started();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return check();
  };
  const answer = fetch(`${server.url}/readyz`, { headers: bearer(key) });
  await arrived;
  const begun = performance.now();
  const stopped = server.stop();
  expect((await answer).status).toBe(200);
  await stopped;
  // The server would cut connections off after ten seconds.
  expect(performance.now() - begun).toBeLessThan(8000);
});
