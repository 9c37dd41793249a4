import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createReplicaWorld, SERVING_NAME, type ReplicaWorld } from './support/replica-world.ts';

let world: ReplicaWorld;
beforeAll(async () => {
  world = await createReplicaWorld();
});
beforeEach(() => world.begin());
afterEach(() => world.reset());
afterAll(() => world.close());

test('of two replicas, one that is down holds up neither the other nor what is published, and catches up', async () => {
  const [up, down] = [await world.engine(), await world.engine('sglang')];
  await down.stop();
  const [first, second] = [await world.add(up), await world.add(down)];
  world.reconciler();
  await world.reaches(first.id, 'in_sync');
  await world.reaches(second.id, 'unreachable');
  expect(await world.get(second.id)).toMatchObject({ error: { code: 'unreachable' }, last_seen_at: null });
  await world.publish(0);
  await expect.poll(() => up.loaded.get(world.name(0))).toBe(world.path(0, 2));
  await down.start();
  await world.reaches(second.id, 'in_sync');
  expect(down.loaded.get(world.name(0))).toBe(world.path(0, 2));
  expect(await world.events(second.id)).toEqual(['replica.created', 'replica.unreachable', 'replica.in_sync']);
});

test('an engine that restarts in the middle of the first sync is filled from the start', async () => {
  const engine = await world.engine();
  let loads = 0;
  engine.fault = ({ path }) => {
    if (path === '/v1/load_lora_adapter' && ++loads === 5) engine.restart();
    return undefined;
  };
  const { id } = await world.add(engine);
  world.reconciler();
  await world.reaches(id, 'in_sync');
  expect(engine.loaded.size).toBe(8);
});

test('an engine that hangs is unreachable, and one that answers 500 has failed, until it answers', async () => {
  const [hanging, broken] = [await world.engine(), await world.engine('sglang')];
  hanging.fault = () => 'hang';
  broken.fault = () => 500;
  const [first, second] = [await world.add(hanging), await world.add(broken)];
  world.reconciler({ getMs: 2000 });
  await world.reaches(first.id, 'unreachable');
  expect(await world.get(first.id)).toMatchObject({ error: { code: 'timeout' } });
  await world.reaches(second.id, 'failed');
  expect(await world.get(second.id)).toMatchObject({
    error: { code: 'refused', message: expect.stringContaining('/v1/models answered 500') },
  });
  hanging.fault = () => undefined;
  broken.fault = () => undefined;
  await world.reaches(first.id, 'in_sync');
  await world.reaches(second.id, 'in_sync');
});

test('an answer without end is cut where enough of it is known', async () => {
  const engine = await world.engine();
  engine.fault = ({ path }) => (path === '/v1/completions' ? 'endless' : undefined);
  const { id } = await world.add(engine);
  world.reconciler({ postMs: 10_000 });
  await world.reaches(id, 'failed');
  await expect.poll(() => world.firstFailed(id)).toMatchObject({ error: { code: 'unreadable_answer' } });
  // The system buffers some MiB that nobody reads.
  expect(engine.mostSent).toBeGreaterThan(0);
  expect(engine.mostSent).toBeLessThan(16 * 2 ** 20);
  engine.fault = () => undefined;
  await world.reaches(id, 'in_sync');
});

test('nothing is loaded into an engine that serves another base, and the error says which', async () => {
  const engine = await world.engine('vllm', 'acme/other-model');
  const { id } = await world.add(engine);
  world.reconciler();
  await world.reaches(id, 'failed');
  const { error } = await world.get(id);
  expect(error).toMatchObject({ code: 'wrong_base', message: expect.stringContaining('acme/other-model') });
  expect(error!.message).toContain(SERVING_NAME);
  expect(engine.changes).toEqual([]);
});

const REFUSED_KEY =
  'an engine that refuses the key is not filled; with the right one it is, and the key is shown nowhere';
test(REFUSED_KEY, async () => {
  const engine = await world.engine();
  engine.apiKey = 'engine-secret-key';
  const { id } = await world.add(engine, { api_key: 'a-wrong-key' });
  world.reconciler();
  await world.reaches(id, 'failed');
  expect(await world.get(id)).toMatchObject({ error: { code: 'refused' }, has_api_key: true });
  const changed = await world.send('PATCH', `/v1/replicas/${id}`, { api_key: 'engine-secret-key' });
  expect(JSON.stringify(changed.body)).not.toContain('engine-secret-key');
  await world.reaches(id, 'in_sync');
  const stored = await world.app.db.replica.findUniqueOrThrow({ where: { id } });
  expect(stored.sealedApiKey).not.toContain('engine-secret-key');
  const entries = await world.app.db.auditEntry.findMany({ where: { subjectId: id } });
  expect(JSON.stringify(entries.map(({ before, after }) => [before, after]))).not.toContain('secret-key');
});

const SEVERAL_PROCESSES =
  'with several processes one works on a replica at a time, and what one leaves in the middle another ends';
test(SEVERAL_PROCESSES, async () => {
  const engine = await world.engine();
  // The first process stops after requesting loads: the engine performs them, and nobody records it.
  engine.fault = ({ path }) => (path === '/v1/load_lora_adapter' ? 'late' : undefined);
  const { id } = await world.add(engine);
  const first = world.reconciler();
  await expect.poll(() => engine.loaded.size).toBe(4);
  await first.stop();
  engine.fault = () => undefined;
  for (let process = 0; process < 3; process++) world.reconciler();
  await world.reaches(id, 'in_sync');
  const loads = engine.changes.filter(({ path }) => path === '/v1/load_lora_adapter').map(({ body }) => body.lora_name);
  expect(loads.length).toBe(new Set(loads).size);
  expect(engine.loaded.size).toBe(8);
});

test('a name that cannot be unloaded is tried again without haste, and all else is in order meanwhile', async () => {
  const engine = await world.engine();
  const { id } = await world.add(engine, { unload_after_ms: 0 });
  world.reconciler();
  await world.reaches(id, 'in_sync');
  let refused = 0;
  engine.fault = ({ path, body }) => {
    if (path !== '/v1/unload_lora_adapter' || body.lora_name !== world.name(0, 1) || refused >= 3) return undefined;
    refused += 1;
    return 500;
  };
  await world.publish(0);
  await expect.poll(() => engine.loaded.has(world.name(0, 1))).toBe(false);
  expect(engine.loaded.get(world.name(0))).toBe(world.path(0, 2));
  await world.reaches(id, 'in_sync');
});

test('a key that cannot be decrypted is said, and names the setting', async () => {
  const engine = await world.engine();
  const { id } = await world.add(engine, { api_key: 'x' });
  world.reconciler({ secretKeys: [Buffer.alloc(32, 9).toString('base64')] });
  await world.reaches(id, 'failed');
  expect(await world.get(id)).toMatchObject({
    error: { code: 'key_unreadable', message: expect.stringContaining('READAPT_SECRET_KEY') },
  });
});
