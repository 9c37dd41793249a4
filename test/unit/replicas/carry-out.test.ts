import { expect, test } from 'vitest';
import { carryOut } from '../../../src/delivery/replicas/sync/carry-out.ts';
import { makePlan, type DesiredAdapter } from '../../../src/delivery/replicas/sync/plan.ts';

const desired = Array.from({ length: 40 }, (_, n): DesiredAdapter => ({
  ...{ tenantId: 'ten_1', adapterId: `adp_${n}`, adapterVersionId: `adv_${n}`, datasetDigest: null },
  ...{ alias: `acme.a${n}`, name: `acme.a${n}@1` },
}));
const listing = { bases: new Set(['base']), adapters: new Map<string, string>() };
const plan = makePlan({ desired, listing, tracked: [], pathPrefix: '/a', aliases: true, checks: true });
const control = { signal: new AbortController().signal, isStopping: () => false };
const times = { turnMs: 0, resyncMs: 60_000 };
const bench = { serve: () => Promise.resolve(true), unload: () => Promise.resolve(true) };

test('a plan that holds is carried out to its end, however many turns it takes', async () => {
  let asked = 0;
  const isUnchanged = async () => (asked += 1) > 0;
  expect(await carryOut(plan, bench, { atOnce: 4, times, control, isUnchanged })).toEqual({ made: 40, succeeded: 40 });
  // Concurrent callers share a request.
  expect(asked).toBeGreaterThan(1);
  expect(asked).toBeLessThanOrEqual(40);
});

test('one that something has changed for is left after the turn, and one that takes too long, too', async () => {
  const changed = await carryOut(plan, bench, { atOnce: 4, times, control, isUnchanged: async () => false });
  expect(changed).toEqual({ made: 4, succeeded: 4 });
  const short = { turnMs: 60_000, resyncMs: 0 };
  const late = await carryOut(plan, bench, { atOnce: 4, times: short, control, isUnchanged: async () => true });
  expect(late).toEqual({ made: 4, succeeded: 4 });
});
