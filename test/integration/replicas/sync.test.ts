import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readDesired } from '../../../src/delivery/replicas/sync/desired.repository.ts';
import { syncRepository } from '../../../src/delivery/replicas/sync/sync.repository.ts';
import type { EngineServer } from './support/engine-server.ts';
import {
  createReplicaWorld,
  FOLDER,
  GATE_PROMPTS,
  type ReconcilerSettings,
  type ReplicaWorld,
} from './support/replica-world.ts';

let world: ReplicaWorld;
beforeAll(async () => {
  world = await createReplicaWorld();
});
afterAll(() => world.close());

const ALL = [0, 1, 2, 3];
/** Expected adapters of an engine: each in its first version, by name and alias. */
const everything = () =>
  Object.fromEntries(
    ALL.flatMap((adapter) => [
      [world.name(adapter, 1), world.path(adapter)],
      [world.name(adapter), world.path(adapter)],
    ]),
  );

/** Checks that a retiring version stays until a time between these two, and lets that time have come. */
async function endGraceTime(replicaId: string, [from, to]: [number, number]): Promise<void> {
  const { replicaAdapter } = world.app.db;
  const { id, unloadAt } = await replicaAdapter.findFirstOrThrow({ where: { replicaId, state: 'retiring' } });
  expect(unloadAt!.getTime()).toBeGreaterThanOrEqual(from);
  expect(unloadAt!.getTime()).toBeLessThanOrEqual(to);
  await replicaAdapter.update({ where: { id }, data: { unloadAt: new Date(0) } });
}

interface Served {
  readonly engine: EngineServer;
  readonly id: string;
}

/**
 * Adds a replica of each kind of engine, and starts to keep them in sync.
 * @returns a function that runs a check with both at once
 */
async function serveEach({ prepare = () => {}, settings = {}, times }: ServeOptions = {}) {
  const served = await Promise.all(
    (['vllm', 'sglang'] as const).map(async (kind): Promise<Served> => {
      const engine = await world.engine(kind);
      prepare(engine);
      return { engine, id: (await world.add(engine, settings)).id };
    }),
  );
  world.reconciler(times);
  return <T>(check: (one: Served) => Promise<T>) => Promise.all(served.map(check));
}

interface ServeOptions {
  /** Called with each engine before its replica is added. */
  readonly prepare?: (engine: EngineServer) => void;
  readonly settings?: object;
  readonly times?: ReconcilerSettings;
}

describe('while the fleet stays as it is,', () => {
  beforeAll(() => world.begin());
  afterEach(() => world.removeReplicas());
  afterAll(() => world.fleet.remove());

  const COMES_BACK_EMPTY =
    'a replica of either engine gets what is current, by name and by alias, and each adapter is checked with ' +
    'prompts, also once it has come back empty';
  test(COMES_BACK_EMPTY, async () => {
    const each = await serveEach();
    await each(async ({ engine, id }) => {
      await world.reaches(id, 'in_sync');
      expect(Object.fromEntries(engine.loaded)).toEqual(everything());
      expect(await world.get(id)).toMatchObject({ desired: 4, loaded: 4, failed: 0, error: null });
      expect((await world.adapters(id)).map(({ state, checked_at: at }) => [state, typeof at])).toEqual(
        ALL.map(() => ['loaded', 'string']),
      );
      expect(await world.events(id)).toEqual(['replica.created', 'replica.in_sync']);
      const asked = engine.changes.filter(({ path }) => path === '/v1/completions').map(({ body }) => body.prompt);
      expect([...new Set(asked)]).toEqual([GATE_PROMPTS[0]]);

      const before = engine.changes.length;
      engine.restart();
      await expect.poll(() => Object.fromEntries(engine.loaded)).toEqual(everything());
      await world.reaches(id, 'in_sync');
      expect(engine.changes.slice(before).filter(({ path }) => path === '/v1/completions').length).toBe(12);
    });
  });

  test('either engine says which adapter has no folder, and loads it as soon as the folder is there', async () => {
    const each = await serveEach({ prepare: (engine) => engine.missing.add(world.path(2)) });
    await each(async ({ engine, id }) => {
      await world.reaches(id, 'failed');
      expect(await world.get(id)).toMatchObject({ desired: 4, loaded: 3, failed: 1 });
      const error = { code: 'load_failed', message: expect.stringContaining(world.path(2)) };
      await expect.poll(() => world.firstFailed(id)).toMatchObject({ error });
      engine.missing.clear();
      await world.reaches(id, 'in_sync');
    });
  });

  const TOO_LATE =
    'an answer of either engine that comes too late is found out: what was loaded all the same is not loaded twice';
  test(TOO_LATE, async () => {
    const late = new Map<EngineServer, number>();
    const each = await serveEach({
      prepare: (engine) => {
        engine.fault = ({ path, body }) => {
          if (!path.endsWith('/load_lora_adapter') || body.lora_name !== world.name(3, 1)) return undefined;
          late.set(engine, (late.get(engine) ?? 0) + 1);
          return late.get(engine) === 1 ? 'late' : undefined;
        };
      },
      // A request that times out because the machine is busy is only tried again.
      times: { postMs: 500 },
    });
    await each(async ({ engine, id }) => {
      await world.reaches(id, 'in_sync');
      expect(Object.fromEntries(engine.loaded)).toEqual(everything());
      expect(late.get(engine)).toBe(1);
    });
  });

  const UNCHECKED_ADAPTER =
    'an adapter that is loaded and not checked yet does not count as loaded, ' +
    'and is unloaded if its check ends in an error';
  test(UNCHECKED_ADAPTER, async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine);
    world.reconciler({ postMs: 2000, retryMs: 3_600_000, longestRetryMs: 3_600_000 });
    await world.reaches(id, 'in_sync');
    engine.fault = ({ path }) => (path === '/v1/completions' ? 'hang' : undefined);
    engine.restart();
    // The change triggers an immediate turn.
    await world.send('PATCH', `/v1/replicas/${id}`, { max_adapters: 10 });
    await expect.poll(() => world.adapters(id, '?state=checking').then((found) => found.length)).toBe(4);
    const versions = ALL.map((adapter) => world.name(adapter, 1)).sort();
    await expect.poll(() => [...engine.loaded.keys()].sort()).toEqual(versions);
    await expect.poll(() => world.adapters(id, '?state=failed').then((found) => found.length)).toBe(4);
    const [failed] = await world.adapters(id, '?state=failed');
    expect(failed).toMatchObject({ checked_at: null, error: { code: 'timeout' } });
    expect(engine.loaded.size).toBe(0);
    await expect.poll(() => world.get(id)).toMatchObject({ loaded: 0, failed: 4, state: 'failed' });
  });

  const PASSING_FAULT =
    'a fault that passes does not unload what serves; what the engine turns out not to use goes with its alias';
  test(PASSING_FAULT, async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine);
    world.reconciler();
    await world.reaches(id, 'in_sync');
    engine.fault = ({ path }) => (path === '/v1/completions' ? 503 : undefined);
    await world.app.db.replicaAdapter.updateMany({ data: { checkedAt: null } });
    await world.send('PATCH', `/v1/replicas/${id}`, { max_adapters: 10 });
    await world.reaches(id, 'failed');
    await expect.poll(() => world.adapters(id, '?state=failed').then((found) => found.length)).toBe(4);
    expect(Object.fromEntries(engine.loaded)).toEqual(everything());
    for (const adapter of ALL) engine.inert.add(world.path(adapter));
    engine.fault = () => undefined;
    await expect.poll(() => engine.loaded.size).toBe(0);
    engine.inert.clear();
    await world.reaches(id, 'in_sync');
    expect(Object.fromEntries(engine.loaded)).toEqual(everything());
  });

  test('in the middle of a turn, a replica that has failed is not shown as another', async () => {
    const { db } = world.app;
    const { id } = await world.add(await world.engine());
    const lease = { owner: 'test', forMs: 60_000 };
    const { seen } = await readDesired(db, (await syncRepository.claim(db, id, lease))!);
    const error = { code: 'adapters_failed', message: 'one adapter has failed' };
    await db.replica.update({ where: { id }, data: { state: 'failed', error } });
    expect(await syncRepository.noteProgress(db, id, seen, lease)).toBe(true);
    expect(await world.get(id)).toMatchObject({ state: 'failed', error });
  });

  test('what others have loaded is left alone, and what was left by an earlier replica is unloaded', async () => {
    const engine = await world.engine();
    engine.put('their-own', '/mnt/other/their-own');
    engine.put('acme.support@7', '/mnt/other/acme.support@7');
    engine.put('gone.adapter@3', `${FOLDER}/gone.adapter@3`);
    engine.put('gone.adapter', `${FOLDER}/gone.adapter@3`);
    const { id } = await world.add(engine, { unload_after_ms: 0 });
    world.reconciler();
    await world.reaches(id, 'in_sync');
    await expect.poll(() => engine.loaded.has('gone.adapter@3')).toBe(false);
    expect(engine.loaded.has('gone.adapter')).toBe(false);
    expect(engine.loaded.has('their-own')).toBe(true);
    expect(engine.loaded.has('acme.support@7')).toBe(true);
  });

  test('more adapters than a replica holds are said, and those that fit serve', async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine, { max_adapters: 3, aliases: false });
    world.reconciler();
    await world.reaches(id, 'failed');
    expect(await world.get(id)).toMatchObject({ desired: 4, loaded: 3, error: { code: 'over_capacity' } });
    expect(engine.loaded.size).toBe(3);
  });

  test('a look at a replica to which nothing has happened reads one list, and changes nothing', async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine);
    world.reconciler({ checkMs: 50 });
    await world.reaches(id, 'in_sync');
    const [lists, changes] = [engine.lists, engine.changes.length];
    await expect.poll(() => engine.lists).toBeGreaterThan(lists + 3);
    expect(engine.changes.length).toBe(changes);
  });
});

describe('when the fleet changes,', () => {
  beforeEach(() => world.begin());
  afterEach(() => world.reset());

  const CHECK_BEFORE_ALIAS =
    'either engine loads and checks a new version before the alias moves, and the old one goes after the grace time';
  test(CHECK_BEFORE_ALIAS, async () => {
    const graceMs = 3_600_000;
    const each = await serveEach({ settings: { unload_after_ms: graceMs } });
    await each(({ id }) => world.reaches(id, 'in_sync'));
    const before = new Map(await each(async ({ engine }) => [engine, engine.changes.length] as const));
    const publishedAt = Date.now();
    await world.publish(0);
    await each(async ({ engine, id }) => {
      await expect.poll(() => engine.loaded.get(world.name(0))).toBe(world.path(0, 2));
      expect(engine.loaded.has(world.name(0, 1))).toBe(true);
      await expect.poll(() => world.adapters(id, '?state=retiring').then((found) => found.length)).toBe(1);
      await world.reaches(id, 'in_sync');
      expect(engine.loaded.has(world.name(0, 1))).toBe(true);
      await endGraceTime(id, [publishedAt + graceMs, Date.now() + graceMs]);
      await expect.poll(() => engine.loaded.has(world.name(0, 1))).toBe(false);
      const loads = engine.changes.slice(before.get(engine)).filter(({ path }) => path.includes('load'));
      expect(loads.map(({ path, body }) => [path.includes('unload') ? 'unload' : 'load', body.lora_name])).toEqual([
        ['load', world.name(0, 2)],
        ['unload', world.name(0)],
        ['load', world.name(0)],
        ['unload', world.name(0, 1)],
      ]);
      await expect.poll(() => world.adapters(id).then((found) => found.length)).toBe(4);
    });
  });

  const CHANGES_NOTHING =
    'an adapter that changes nothing was not loaded by either engine: its alias stays, and the other adapters serve';
  test(CHANGES_NOTHING, async () => {
    const each = await serveEach();
    await each(({ id }) => world.reaches(id, 'in_sync'));
    await each(async ({ engine }) => engine.inert.add(world.path(1, 2)));
    await world.publish(1);
    await each(async ({ engine, id }) => {
      await world.reaches(id, 'failed');
      expect(engine.loaded.get(world.name(1))).toBe(world.path(1));
      expect(engine.loaded.has(world.name(1, 1))).toBe(true);
      const error = { code: 'changes_nothing' };
      await expect.poll(() => world.firstFailed(id)).toMatchObject({ engine_name: world.name(1, 2), error });
      expect(await world.get(id)).toMatchObject({ failed: 1, error: { code: 'adapters_failed' } });
      engine.inert.clear();
      await world.reaches(id, 'in_sync');
      expect(engine.loaded.get(world.name(1))).toBe(world.path(1, 2));
    });
  });

  const NAME_GIVEN_AGAIN =
    'a name that another adapter has by now is loaded anew, and nobody gets the weights of the one before';
  test(NAME_GIVEN_AGAIN, async () => {
    const [tenantId] = world.fleet.tenants as [string, string];
    const [gone, heir] = await world.app.db.adapter.findMany({ where: { tenantId }, orderBy: { id: 'asc' } });
    const engine = await world.engine();
    const { id } = await world.add(engine);
    world.reconciler();
    await world.reaches(id, 'in_sync');
    const [alias, before] = [world.name(world.fleet.adapters.indexOf(gone!.id)), engine.changes.length];
    await world.app.db.$transaction([
      world.app.db.adapter.update({ where: { id: gone!.id }, data: { name: 'gone~1', deletedAt: new Date() } }),
      world.app.db.adapter.update({ where: { id: heir!.id }, data: { name: gone!.name } }),
    ]);
    const rowOf = async () => (await world.adapters(id)).find(({ engine_name: name }) => name === `${alias}@1`);
    await expect.poll(async () => (await rowOf())?.adapter_id).toBe(heir!.id);
    await expect.poll(async () => (await rowOf())?.state).toBe('loaded');
    const asked = engine.changes
      .slice(before)
      .filter(({ body }) => [alias, `${alias}@1`].includes(String(body.lora_name)));
    expect(asked.map(({ path, body }) => [path.includes('unload') ? 'unload' : 'load', body.lora_name])).toEqual([
      ['unload', alias],
      ['unload', `${alias}@1`],
      ['load', `${alias}@1`],
      ['load', alias],
    ]);
  });

  test('a rollback in the middle of a sync is done first, and needs nothing to be loaded', async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine);
    const first = await world.currentVersion(0);
    world.reconciler({ postMs: 500 });
    await world.reaches(id, 'in_sync');
    await world.publish(0);
    await expect.poll(() => engine.loaded.get(world.name(0))).toBe(world.path(0, 2));
    // Loads of another adapter hang while the tenant rolls back.
    engine.fault = ({ body }) => (body.lora_name === world.name(1, 2) ? 'hang' : undefined);
    await world.publish(1);
    await expect.poll(() => engine.changes.some(({ body }) => body.lora_name === world.name(1, 2))).toBe(true);
    const before = engine.changes.length;
    await world.makeCurrent(0, first);
    await expect.poll(() => engine.loaded.get(world.name(0))).toBe(world.path(0, 1));
    const reloaded = engine.changes.slice(before).filter(({ body }) => body.lora_name === world.name(0, 1));
    expect(reloaded).toEqual([]);
  });

  const FAILING_SUCCESSOR =
    'a version whose grace time is over stays while its successor fails, and the engine is not asked without end';
  test(FAILING_SUCCESSOR, async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine, { unload_after_ms: 0 });
    world.reconciler();
    await world.reaches(id, 'in_sync');
    engine.missing.add(world.path(0, 2));
    await world.app.db.replicaAdapter.updateMany({
      where: { replicaId: id, engineName: world.name(0, 1) },
      data: { state: 'retiring', unloadAt: new Date(0) },
    });
    await world.publish(0);
    await world.reaches(id, 'failed');
    const { lists } = engine;
    const since = Date.now();
    await expect.poll(() => engine.lists).toBeGreaterThan(lists + 3);
    expect(Date.now() - since).toBeGreaterThan(200);
    expect(engine.loaded.get(world.name(0))).toBe(world.path(0));
    expect(engine.loaded.has(world.name(0, 1))).toBe(true);
  });

  test('an adapter of which nothing is to be served loses its alias at once', async () => {
    const engine = await world.engine();
    const { id } = await world.add(engine);
    world.reconciler();
    await world.reaches(id, 'in_sync');
    await world.makeCurrent(0, null);
    await expect.poll(() => engine.loaded.has(world.name(0))).toBe(false);
    expect(engine.loaded.has(world.name(0, 1))).toBe(true);
    // The count is written at the end of the turn, after the engine has changed.
    await expect.poll(() => world.get(id)).toMatchObject({ desired: 3 });
  });

  test('a replica serves a selection: tenants, labels, and no aliases where there are to be none', async () => {
    const [tenantId] = world.fleet.tenants as [string, string];
    const mine = await world.app.db.adapter.findMany({ where: { tenantId } });
    await world.app.db.adapter.update({ where: { id: mine[0]!.id }, data: { labels: { tier: 'gold' } } });
    const engine = await world.engine();
    const { id } = await world.add(engine, { tenant_ids: [tenantId], labels: { tier: 'gold' }, aliases: false });
    world.reconciler();
    await world.reaches(id, 'in_sync');
    expect([...engine.loaded.keys()]).toEqual([world.name(world.fleet.adapters.indexOf(mine[0]!.id), 1)]);
    const wider = await world.send('PATCH', `/v1/replicas/${id}`, { labels: {}, aliases: true });
    expect(wider.status).toBe(200);
    await expect.poll(() => engine.loaded.size).toBe(4);
  });
});
