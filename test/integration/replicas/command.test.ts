import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Replica } from '../../../src/delivery/replicas/replica.schemas.ts';
import { createTerminal, type Terminal } from '../terminal/terminal.ts';
import { createReplicaWorld, FOLDER, type ReplicaWorld } from './support/replica-world.ts';

// Each command runs in a process that loads the sources anew.
let world: ReplicaWorld;
let folder: string;
let terminal: Terminal;
let env: Record<string, string>;
beforeAll(async () => {
  world = await createReplicaWorld();
  await world.begin();
  await world.app.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = world.app.app.server.address() as AddressInfo;
  env = { READAPT_URL: `http://127.0.0.1:${port}`, READAPT_API_KEY: world.app.operatorKey };
  folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-'));
  terminal = createTerminal(folder);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await world.reset();
  await world.close();
});

test('a replica is added, listed, shown and removed from a terminal, and its key stays out of sight', async () => {
  const engine = await world.engine('sglang');
  const run = (args: readonly string[], more: Record<string, string> = {}) =>
    terminal.run(['replicas', ...args], { env: { ...env, ...more } });
  const settings = ['--base', world.fleet.oldVersionId, '--path', FOLDER, '--engine', 'sglang', '--no-aliases'];
  const key = { READAPT_ENGINE_API_KEY: 'the-engine-key' };
  const added = await run(['add', 'gpu-1', engine.url, ...settings, '--json'], key);
  expect(added).toMatchObject({ code: 0, stderr: '' });
  expect(added.stdout).not.toContain('the-engine-key');
  const replica = JSON.parse(added.stdout) as Replica;
  expect(replica).toMatchObject({ name: 'gpu-1', engine: 'sglang', aliases: false, has_api_key: true });
  world.reconciler();
  await world.reaches(replica.id, 'in_sync');
  expect((await run(['ls'])).stdout).toMatch(/gpu-1\s+sglang\s+in_sync\s+4\/4/);
  expect((await run(['show', replica.id])).stdout).toContain('4 of 4 loaded, 0 failed');
  expect(await run(['rm', replica.id])).toMatchObject({ code: 0, stdout: `replica ${replica.id} is removed\n` });
  expect((await run(['show', replica.id])).code).not.toBe(0);
});
