import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../eventually.ts';
import { createTinyFleet, type TinyFleet } from './tiny-fleet.ts';

let fleet: TinyFleet;

beforeAll(async () => {
  fleet = await createTinyFleet({ adapters: 3 });
  // Every version passes, and the gate compares with none.
  await fleet.db.adapter.updateMany({ data: { metric: 'accuracy', gate: { kind: 'absolute', target: 0 } } });
  await fleet.startWorker();
});
afterAll(() => fleet.close());

test.each([
  ['the drop', {}, null],
  ['the drop and the flips', { negative_flips: 1 }, expect.any(Number)],
])('a wave is judged by %s of adapters whose gates compare with nothing', async (_what, more, flips) => {
  const { db, rollouts } = fleet;
  // No drop is below this limit, so any measurement trips it.
  const policy = { waves: [{ count: 1 }], pause_if: { metric_drop: -2, ...more } };
  const id = await fleet.begin({ strategy: 'reuse', policy });
  const { paused_reason: reason } = await eventually('the rollout pauses', async () => {
    const rollout = await rollouts.get(id, null);
    expect(rollout.state).not.toBe('completed');
    return rollout.state === 'paused' && rollout;
  });
  expect(reason).toMatchObject({ code: 'pause_if', condition: 'metric_drop', wave: 1, jobs: 1 });
  const canary = await db.job.findFirstOrThrow({ where: { rolloutId: id, wave: 1 } });
  expect(reason!.value).toBeCloseTo(canary.metricOld! - canary.metricBest!, 6);
  expect(canary.negativeFlips).toEqual(flips);
  await rollouts.cancel(id);
});
