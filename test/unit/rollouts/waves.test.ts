import { describe, expect, test } from 'vitest';
import { describeTripped, judgeWave } from '../../../src/modules/jobs/control/pause-if.ts';
import type { PauseIf, RolloutPolicy } from '../../../src/modules/jobs/control/policy.schemas.ts';
import { waveEnds } from '../../../src/modules/rollouts/control/wave-sizes.ts';

describe('the waves of a fleet', () => {
  test.each<[string, NonNullable<RolloutPolicy['waves']>, number, number[]]>([
    ['nothing asked for is one wave', [], 10, []],
    ['a canary and the rest', [{ count: 1 }], 10, [1]],
    ['percentages are of all adapters', [{ percent: 5 }, { percent: 25 }], 200, [10, 60]],
    ['a percentage of a small fleet is one adapter at least', [{ percent: 1 }, { percent: 1 }], 10, [1, 2]],
    ['what is left over for nobody falls away', [{ count: 5 }, { count: 5 }, { count: 5 }], 10, [5]],
    ['an empty fleet', [{ count: 1 }], 0, []],
  ])('%s', (_, waves, adapters, ends) => {
    expect(waveEnds(waves, adapters)).toEqual(ends);
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
      'wave 2: the mean drop of the metric is 0.03125 after 40 jobs, more than 0.02; resume the rollout to go on all the ' +
        'same, or cancel it',
    );
  });
});
