import { describe, expect, test } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import {
  quantileOf,
  simulateRollout,
  type SimulatedRollout,
} from '../../../src/fleet/forecasts/prediction/simulate.ts';

/** Draws these times in turn. */
function inTurn(...times: readonly [number, number | null][]): SimulatedRollout['draw'] {
  let next = 0;
  return () => {
    const [deviceMs, readyMs] = times[next++ % times.length]!;
    return { deviceMs, readyMs };
  };
}

const simulate = (rollout: Partial<SimulatedRollout> & Pick<SimulatedRollout, 'draw'>) =>
  simulateRollout(
    { waves: [3], speeds: [1], jobsAhead: 0, analysisMs: 0, controls: null, ...rollout },
    Random.fromSeed(1),
  );

describe('a simulated rollout', () => {
  test('of one worker runs its jobs one after the other, from the end of the analysis on', () => {
    const { deviceMs, makespanMs, ttrMs } = simulate({ analysisMs: 5, draw: inTurn([10, 8], [20, null], [30, 25]) });
    expect([deviceMs, makespanMs, [...ttrMs]]).toEqual([60, 65, [13, 60]]);
  });

  test('gives the next job to the worker that is free first', () => {
    // 30 | 10 20 | the fourth waits for the first of the two, until 30.
    const { makespanMs, ttrMs } = simulate({
      waves: [4],
      speeds: [1, 1],
      draw: inTurn([30, 30], [10, 10], [20, 20], [5, 5]),
    });
    expect([makespanMs, [...ttrMs]]).toEqual([35, [10, 30, 30, 35]]);
  });

  test('begins a wave when the one before has ended', () => {
    const { makespanMs, ttrMs } = simulate({
      waves: [2, 0, 2],
      speeds: [1, 1],
      draw: inTurn([30, 30], [10, 10], [20, 20], [5, 5]),
    });
    expect([makespanMs, [...ttrMs]]).toEqual([50, [10, 30, 35, 50]]);
  });

  test('lets jobs of others go first, and divides times by the speed of the worker', () => {
    const { deviceMs, makespanMs, ttrMs } = simulate({
      waves: [2],
      speeds: [1, 2],
      jobsAhead: 1,
      draw: inTurn([40, 40], [20, 10], [20, 10]),
    });
    // The fast worker takes both jobs, 10 each.
    expect([deviceMs, makespanMs, [...ttrMs]]).toEqual([20, 20, [5, 15]]);
  });
});

describe('its controls', () => {
  const controls = { jobs: 2, draw: inTurn([100, null]) };
  const draw = inTurn([30, 30], [10, 10], [10, 10]);

  test('come after its adaptations, which do not wait for them', () => {
    const { deviceMs, controlDeviceMs, makespanMs, rolloutMs } = simulate({ speeds: [1, 1], draw, controls });
    // The second worker is free at 20, the first at 30.
    expect([deviceMs, controlDeviceMs, makespanMs, rolloutMs]).toEqual([50, 200, 30, 130]);
  });

  test('are a wave of their own where there are several', () => {
    const { makespanMs, rolloutMs } = simulate({ waves: [1, 2], speeds: [1, 1], draw: inTurn([30, 30]), controls });
    expect([makespanMs, rolloutMs]).toEqual([60, 160]);
    const uneven = simulate({ waves: [1, 1], speeds: [1, 1], draw: inTurn([30, 30]), controls });
    expect([uneven.makespanMs, uneven.rolloutMs]).toEqual([60, 160]);
  });
});

test('quantiles are interpolated, and there is none of nothing', () => {
  expect([0, 0.5, 0.75, 1].map((share) => quantileOf([1, 2, 4, 8], share))).toEqual([1, 3, 5, 8]);
  expect(quantileOf([], 0.5)).toBeNaN();
});
