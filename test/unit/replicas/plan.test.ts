import { expect, test } from 'vitest';
import {
  makePlan,
  type DesiredAdapter,
  type PlanInput,
  type TrackedAdapter,
} from '../../../src/delivery/replicas/sync/plan.ts';

const PREFIX = '/adapters/';
const desired = (number: number): DesiredAdapter => ({
  ...{ tenantId: 'ten_1', adapterId: 'adp_1', adapterVersionId: `adv_${number}`, datasetDigest: null },
  ...{ alias: 'acme.support', name: `acme.support@${number}` },
});
const tracked = (number: number, more: Partial<TrackedAdapter> = {}): TrackedAdapter => ({
  ...{ name: `acme.support@${number}`, adapterId: 'adp_1', adapterVersionId: `adv_${number}` },
  ...{ loadedVersionId: `adv_${number}`, state: 'loaded', attempts: 0, retryInMs: null },
  ...{ isChecked: true, unloadInMs: null, ...more },
});
const loaded = (...names: string[]) => ({
  bases: new Set(['base']),
  adapters: new Map(names.map((name) => [name, `/adapters/${name.includes('@') ? name : `${name}@1`}`])),
});
const plan = (input: Partial<PlanInput>) =>
  makePlan({ desired: [], listing: loaded(), tracked: [], pathPrefix: PREFIX, aliases: true, checks: true, ...input });
const NOTHING = {
  ...{ added: [], work: [], retire: [], found: [], unload: [], forget: [], revive: [], serving: [] },
  ...{ renewed: [], waiting: [], checking: [] },
};

test('nothing is to be done where all is there', () => {
  const listing = loaded('acme.support@1', 'acme.support');
  expect(plan({ desired: [desired(1)], listing, tracked: [tracked(1)] })).toEqual(NOTHING);
});

test('a successor that waits to be tried again keeps the version before, also after its grace time', () => {
  const listing = loaded('acme.support@1', 'acme.support');
  const before = tracked(1, { state: 'retiring', unloadInMs: -1 });
  const failed = tracked(2, { state: 'failed', retryInMs: 500, isChecked: false });
  expect(plan({ desired: [desired(2)], listing, tracked: [before, failed] })).toEqual(NOTHING);
});

test('a version that was loaded from another folder is loaded again, and checked', () => {
  const listing = { bases: new Set<string>(), adapters: new Map([['acme.support@1', '/old/acme.support@1']]) };
  const [work] = plan({ desired: [desired(1)], listing, tracked: [tracked(1)] }).work;
  expect(work).toMatchObject({ unload: ['acme.support@1'], load: true, check: true, alias: 'load' });
});

test('without checks, what is listed counts as loaded', () => {
  const listing = loaded('acme.support@1', 'acme.support');
  const waiting = tracked(1, { state: 'waiting', isChecked: false });
  const found = plan({ desired: [desired(1)], listing, tracked: [waiting], checks: false });
  expect(found).toEqual({ ...NOTHING, serving: ['acme.support@1'] });
});

test('a retired version that is current again is kept, and only its alias moves', () => {
  const listing = {
    bases: new Set<string>(),
    adapters: new Map([
      ...loaded('acme.support@1', 'acme.support@2').adapters,
      ['acme.support', '/adapters/acme.support@2'],
    ]),
  };
  const found = plan({
    desired: [desired(1)],
    listing,
    tracked: [tracked(1, { state: 'retiring', unloadInMs: 9 }), tracked(2)],
  });
  expect(found.revive).toEqual(['acme.support@1']);
  expect(found.work).toMatchObject([{ load: false, check: false, alias: 'move' }]);
  expect(found.retire).toEqual([]);
});

test('a name under which another version was loaded is unloaded with its alias, and loaded and checked anew', () => {
  const listing = loaded('acme.support@1', 'acme.support');
  const other = tracked(1, { adapterId: 'adp_0', adapterVersionId: 'adv_0', loadedVersionId: 'adv_0' });
  for (const kept of [other, { ...other, state: 'retiring', unloadInMs: 9 }]) {
    const found = plan({ desired: [desired(1)], listing, tracked: [kept] });
    expect(found.work).toMatchObject([
      { unload: ['acme.support', 'acme.support@1'], load: true, check: true, alias: 'load' },
    ]);
    expect(found.renewed).toEqual([desired(1)]);
    expect(found.retire).toEqual([]);
  }
});

test('what was loaded before anything was kept of it is loaded anew, because nobody knows its weights', () => {
  const listing = loaded('acme.support@1', 'acme.support');
  for (const kept of [[], [tracked(1, { state: 'waiting', loadedVersionId: null })]]) {
    expect(plan({ desired: [desired(1)], listing, tracked: kept }).work).toMatchObject([
      { unload: ['acme.support', 'acme.support@1'], load: true, alias: 'load' },
    ]);
  }
});

test('where a name was unloaded and its alias was left with other weights, the alias is loaded anew', () => {
  const listing = loaded('acme.support');
  const kept = tracked(1, { loadedVersionId: 'adv_0' });
  expect(plan({ desired: [desired(1)], listing, tracked: [kept] }).work).toMatchObject([
    { unload: ['acme.support'], load: true, alias: 'load' },
  ]);
});

test('an adapter that the engine has lost waits, and one that has not been checked is being checked', () => {
  const kept = [tracked(1)];
  expect(plan({ desired: [desired(1)], tracked: kept })).toMatchObject({ waiting: ['acme.support@1'], checking: [] });
  const unchecked = [tracked(1, { isChecked: false })];
  const listing = loaded('acme.support@1', 'acme.support');
  expect(plan({ desired: [desired(1)], listing, tracked: unchecked })).toMatchObject({
    waiting: [],
    checking: ['acme.support@1'],
  });
});

const HEIR_OF_A_NAME =
  'an alias that leads to an adapter which had the name before is unloaded at once, ' +
  'and not only when the heir is checked';
test(HEIR_OF_A_NAME, () => {
  const listing = loaded('acme.support@3');
  const gone = tracked(3, { adapterId: 'adp_0', adapterVersionId: 'adv_0', loadedVersionId: 'adv_0' });
  const aliased = new Map([...listing.adapters, ['acme.support', '/adapters/acme.support@3']]);
  const input = { desired: [desired(1)], listing: { ...listing, adapters: aliased }, tracked: [gone] };
  expect(plan(input).work).toMatchObject([{ unload: ['acme.support'], load: true, alias: 'load' }]);
  // An earlier version of the same adapter stays until its successor is checked.
  const own = tracked(3, { adapterId: 'adp_1' });
  expect(plan({ ...input, tracked: [own] }).work).toMatchObject([{ unload: [], load: true, alias: 'move' }]);
});
