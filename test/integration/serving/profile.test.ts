import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAdapterWorld, good, rawTar, type AdapterWorld } from '../adapters/support.ts';

let world: AdapterWorld;
beforeAll(async () => {
  world = await createAdapterWorld(['control']);
});
afterAll(() => world.app.close());

const setProfile = (profile: object | null, path = world.baseModelId) =>
  world.app.request({
    ...{ method: 'PATCH', url: `/v1/base-models/${path}` },
    payload: { serving_profile: profile },
  });
const create = (name: string) =>
  world.request({
    ...{ method: 'POST', url: '/v1/adapters' },
    payload: world.body(name, { source: { base_model_version: 'control', path: world.fixture('control').adapter } }),
  });

test('what engines would refuse is refused by name when it is imported, and leaves nothing', async () => {
  const set = await setProfile({ max_rank: 1 });
  const profile = { max_rank: 1, dora: true, rslora: true, rank_patterns: true };
  expect([set.statusCode, set.json().serving_profile]).toEqual([200, profile]);
  const shown = await world.request({ url: `/v1/base-models/${world.baseModelId}` });
  expect(shown.json()).toMatchObject({ serving_profile: profile, policy: null });
  await world.expectRefusal(() => create('ranked'), {
    ...{ status: 422, code: 'adapter_not_servable', feature: 'max_rank', found: 2, allowed: 1 },
    module: expect.stringMatching(/_proj$/),
    detail: expect.stringContaining('has rank 2, and the engines serve at most rank 1'),
  });
  await setProfile({ modules: ['q_proj'] });
  await world.expectRefusal(() => create('targeted'), {
    ...{ status: 422, code: 'adapter_not_servable', feature: 'modules', found: 'v_proj', allowed: ['q_proj'] },
  });
  await setProfile({ max_rank: 2, dora: false, rslora: false, rank_patterns: false, modules: ['q_proj', 'v_proj'] });
  expect((await create('served')).statusCode).toBe(201);
  // The version keeps the features that dry runs compare with profiles.
  const kept = await world.app.db.adapterVersion.findFirstOrThrow({ where: { adapter: { name: 'served' } } });
  expect(kept.servedFeatures).toEqual({
    ...{ rank: 2, dora: false, rslora: false, patterned: false, modules: ['q_proj', 'v_proj'] },
  });
  const archive = await world.ensureAdapter('uploaded');
  await setProfile({ max_rank: 1 });
  await world.expectRefusal(() => world.uploadTar(archive.id, rawTar(good())), { code: 'adapter_not_servable' });
  await setProfile(null);
  expect((await create('free')).statusCode).toBe(201);
});

test('a profile is set with what it changes alone, recorded, and checked', async () => {
  const before = await world.app.db.event.count({ where: { type: 'base_model.updated' } });
  await setProfile({ dora: false });
  const policy = { provisional: 'revert' };
  const url = `/v1/base-models/${world.baseModelId}`;
  const changed = (await world.app.request({ method: 'PATCH', url, payload: { policy } })).json();
  expect(changed).toMatchObject({ policy, serving_profile: { dora: false } });
  expect(await world.app.db.event.count({ where: { type: 'base_model.updated' } })).toBe(before + 2);
  const entry = await world.app.db.auditEntry.findFirstOrThrow({ orderBy: { seq: 'desc' } });
  expect([entry.before, entry.after]).toEqual([{ policy: null }, { policy: changed.policy }]);
  for (const profile of [{ max_rank: 0 }, { modules: [] }, { color: 'red' }]) {
    expect((await setProfile(profile)).json().code, JSON.stringify(profile)).toBe('invalid_request');
  }
  expect((await world.app.request({ method: 'PATCH', url, payload: {} })).statusCode).toBe(400);
  expect((await setProfile({ dora: false }, 'absent')).statusCode).toBe(404);
  const asTenant = { method: 'PATCH', url, payload: { serving_profile: null } } as const;
  expect((await world.request(asTenant)).statusCode).toBe(403);
});
