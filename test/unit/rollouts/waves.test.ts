import { describe, expect, test } from 'vitest';
import { describeTripped, judgeWave } from '../../../src/fleet/rollouts/waves/pause-if.ts';
import type { PauseIf, RolloutPolicy } from '../../../src/fleet/rollouts/policy.schemas.ts';
import { assignWaves } from '../../../src/fleet/rollouts/waves/assign-waves.ts';

type Waves = NonNullable<RolloutPolicy['waves']>;

describe('the waves of a fleet', () => {
  /** Fleet whose adapters are ranked by position, from 1. The given positions have the label of each wave by label. */
  const fleet = (size: number, ...labelled: readonly number[][]) =>
    Array.from({ length: size }, (_, index) => {
      const place = index + 1;
      return {
        adapter_id: `a${place}`,
        rank: String(place).padStart(3, '0'),
        labelled: labelled.map((places) => places.includes(place)),
      };
    });
  const ranks = (places: readonly number[]) =>
    places.map((place) => (place === 0 ? '' : String(place).padStart(3, '0')));

  test.each<[string, Waves, number, number[]]>([
    ['nothing asked for is one wave', [], 10, []],
    ['a canary and the rest', [{ count: 1 }], 10, [1]],
    ['percentages are of all adapters', [{ percent: 5 }, { percent: 25 }], 200, [10, 60]],
    ['a percentage of a small fleet is one adapter at least', [{ percent: 1 }, { percent: 1 }], 10, [1, 2]],
    ['what is left over for nobody falls away', [{ count: 5 }, { count: 5 }, { count: 5 }], 10, [5]],
    ['an empty fleet', [{ count: 1 }], 0, []],
  ])('%s', (_, waves, adapters, places) => {
    expect(assignWaves(waves, fleet(adapters))).toEqual({ limits: ranks(places), members: [] });
  });

  const [internal, beta] = [{ label: { tier: 'internal' } }, { label: { beta: 'yes' } }];

  test.each<[string, Waves, number[][], { places: number[]; members: Record<number, number> }]>([
    ['a label takes all that have it', [internal], [[2, 9]], { places: [0], members: { 2: 1, 9: 1 } }],
    ['and then a size takes others', [internal, { count: 3 }], [[2, 9]], { places: [0, 4], members: { 2: 1, 9: 1 } }],
    [
      'whom an earlier wave has is not taken again',
      [{ count: 2 }, internal],
      [[2, 9]],
      { places: [2, 2], members: { 9: 2 } },
    ],
    [
      'two labels, the earlier one first',
      [internal, beta],
      [
        [2, 9],
        [9, 10],
      ],
      { places: [0, 0], members: { 2: 1, 9: 1, 10: 2 } },
    ],
    [
      'sizes and labels by turns',
      [{ count: 1 }, internal, { percent: 30 }, beta],
      [[3], [4, 8]],
      { places: [1, 1, 5, 5], members: { 3: 2, 8: 4 } },
    ],
    ['a label that nobody has is an empty wave', [internal, { count: 1 }], [[]], { places: [0, 1], members: {} }],
    [
      'a label that all have is the last wave',
      [internal, { count: 1 }],
      [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
      { places: [], members: { 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1, 10: 1 } },
    ],
  ])('%s', (_, waves, labelled, { places, members }) => {
    const assigned = assignWaves(waves, fleet(10, ...labelled));
    expect(assigned.limits).toEqual(ranks(places));
    expect(Object.fromEntries(assigned.members.map(({ adapterId, wave }) => [adapterId.slice(1), wave]))).toEqual(
      members,
    );
  });
});

describe('a wave is judged', () => {
  const figures = { ended: 4, unready: 1, metric_drop: 0.03, negative_flips: 0.1 };

  test.each<[string, PauseIf, boolean, string | null]>([
    ['not before enough jobs have ended', { unready_share: 0 }, false, null],
    ['when all have', { unready_share: 0 }, true, 'unready_share'],
    ['from the number that the policy says', { unready_share: 0, min_jobs: 4 }, false, 'unready_share'],
    ['and a share at its limit is none too many', { unready_share: 0.25 }, true, null],
    ['by its drop', { metric_drop: 0.02 }, true, 'metric_drop'],
    ['by its flips', { negative_flips: 0.05 }, true, 'negative_flips'],
    ['by nothing without a condition', {}, true, null],
  ])('%s', (_, pauseIf, hasEnded, condition) => {
    expect(judgeWave(pauseIf, figures, hasEnded)?.condition ?? null).toBe(condition);
  });

  test('and nothing that was not measured trips', () => {
    const nothing = { ended: 4, unready: 0, metric_drop: null, negative_flips: null };
    expect(judgeWave({ metric_drop: -1, negative_flips: 0 }, nothing, true)).toBeNull();
    expect(judgeWave({ unready_share: 0 }, { ...nothing, ended: 0 }, true)).toBeNull();
  });

  test('and the reason names the figures', () => {
    expect(describeTripped({ condition: 'metric_drop', value: 0.03125, limit: 0.02 }, 2, 40)).toBe(
      'wave 2: the mean drop of the metric is 0.03125 after 40 jobs, more than 0.02; resume the rollout to go on all ' +
        'the same, cancel some of its jobs before that, or cancel it',
    );
  });
});
