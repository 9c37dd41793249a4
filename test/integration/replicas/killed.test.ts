import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';
import { createReplicaWorld, type ReplicaWorld } from './support/replica-world.ts';

const API = fileURLToPath(new URL('../adapters/api-process.ts', import.meta.url));

let world: ReplicaWorld;
beforeAll(async () => {
  world = await createReplicaWorld();
  await world.begin();
});
afterAll(async () => {
  await world.reset();
  await world.close();
});

async function startApi(): Promise<ChildProcess> {
  const env = {
    ...process.env,
    DATABASE_URL: world.app.database.url,
    READAPT_DATA_DIR: world.app.dataDir,
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: process.env.READAPT_TEST_LOG_LEVEL ?? 'silent',
    READAPT_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
    READAPT_REPLICA_ALLOWED_RANGES: '127.0.0.1/32',
  };
  const child = fork(compiledModule(API), { execArgv: [], env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  return child;
}

test('after kill -9 of an API in the middle of loads, another one takes over when the lease has run out', async () => {
  const engine = await world.engine();
  // The engine does what it is asked, but the API dies before the answer.
  engine.fault = ({ path }) => (path === '/v1/load_lora_adapter' ? 'late' : undefined);
  const { id } = await world.add(engine);
  const api = await startApi();
  await expect.poll(() => engine.loaded.size).toBe(4);
  api.kill('SIGKILL');
  await once(api, 'exit');
  engine.fault = () => undefined;
  const { leaseOwner, leaseExpiresAt } = await world.app.db.replica.findUniqueOrThrow({ where: { id } });
  expect(leaseOwner).not.toBeNull();
  world.reconciler();
  // Expires the lease, as half a minute would.
  expect(leaseExpiresAt!.getTime()).toBeGreaterThan(Date.now());
  await world.app.db.replica.update({ where: { id }, data: { leaseExpiresAt: new Date() } });
  await world.reaches(id, 'in_sync');
  const loads = engine.changes.filter(({ path }) => path === '/v1/load_lora_adapter').map(({ body }) => body.lora_name);
  expect(loads.length).toBe(new Set(loads).size);
  expect(engine.loaded.size).toBe(8);
});
