import { describe, expect, test } from 'vitest';
import {
  predictRollout,
  type FleetToPredict,
  type JobClass,
  type MeasuredJob,
} from '../../../src/fleet/forecasts/prediction/predict.ts';
import { timeProcessor } from '../../processor-time.ts';

const measured = (rolloutId: string, ...seconds: readonly number[]): MeasuredJob[] =>
  seconds.map((each) => ({ rolloutId, deviceMs: each * 1000, readyMs: each * 900 }));

const predict = (each: Partial<JobClass>, fleet: Partial<FleetToPredict> = {}) =>
  predictRollout({
    classes: [{ jobs: 10, measured: measured('one', 2, 4, 6), samePair: true, ...each }],
    controls: null,
    waveShares: [1],
    speeds: [1],
    jobsAhead: 0,
    analysisMs: 500,
    ...fleet,
  });

describe('a prediction', () => {
  /** Measurements of three rollouts that do not differ. */
  const alike = [...measured('a', 3, 3), ...measured('b', 3, 3), ...measured('c', 3, 3)];

  test('of jobs that all take the same is exact, once several rollouts have said so', () => {
    const { device_seconds, ttr_p50_ms, makespan_ms } = predict({ measured: alike });
    expect(device_seconds).toEqual({ expected: 30, low: 30, high: 30 });
    expect(makespan_ms).toEqual({ expected: 30_500, low: 30_500, high: 30_500 });
    // The fifth and sixth jobs are ready 2.7 s after their turn.
    const middle = 500 + 4.5 * 3000 + 2700;
    expect(ttr_p50_ms).toEqual({ expected: middle, low: middle, high: middle });
  });

  test('is the same each time, and has the mean of the measured jobs within its bounds', () => {
    const prediction = predict({});
    expect(predict({})).toEqual(prediction);
    const { expected, low, high } = prediction.device_seconds;
    expect(Math.abs(expected - 40)).toBeLessThan(4);
    expect([low < 40, high > 40]).toEqual([true, true]);
  });

  test('is wider where the measured jobs are of another pair, by what rollouts differ or by a guess', () => {
    const width = ({ device_seconds: { low, high } }: ReturnType<typeof predict>) => high / low;
    const unlike = [...measured('a', 1, 1), ...measured('b', 3, 3), ...measured('c', 9, 9)];
    expect(width(predict({ measured: alike, samePair: false }))).toBe(1);
    expect(width(predict({ measured: unlike, samePair: false }))).toBeGreaterThan(3);
    expect(width(predict({ measured: measured('a', 3, 3, 3), samePair: false }))).toBeGreaterThan(2.5);
    const pair = width(predict({ measured: measured('a', 3, 3, 3), samePair: true }));
    expect([pair > 1.5, pair < 2]).toEqual([true, true]);
  });

  test('counts waves, and jobs of several old versions', () => {
    const ofRollouts = (seconds: number) => ['a', 'b', 'c'].flatMap((id) => measured(id, seconds));
    const other = { jobs: 10, measured: ofRollouts(1), samePair: true };
    const classes = [{ jobs: 10, measured: ofRollouts(3), samePair: true }, other];
    const one = predictRollout({
      classes,
      controls: null,
      waveShares: [1],
      speeds: [1, 1],
      jobsAhead: 0,
      analysisMs: 0,
    });
    expect(Math.abs(one.device_seconds.expected - 40)).toBeLessThan(3);
    const waves = predict({ measured: alike }, { waveShares: [0.1, 0.9], speeds: [1, 1, 1], analysisMs: 0 });
    // One job first, then nine on three workers.
    expect(waves.makespan_ms?.expected).toBe(3000 + 9000);
  });

  test('has the device time of controls beside that of adaptations, and the end with them', () => {
    const scratch = ['a', 'b', 'c'].flatMap((id) => measured(id, 20));
    const controls = { jobs: 4, classes: [{ jobs: 10, measured: scratch, samePair: true }] };
    const { rollout_ms, ...rest } = predict({ measured: alike }, { controls });
    expect(rest).toEqual({
      ...predict({ measured: alike }),
      control_device_seconds: { expected: 80, low: 80, high: 80 },
      rollout_ms: undefined,
    });
    expect(rollout_ms).toEqual({ expected: 110_500, low: 110_500, high: 110_500 });
    const none = predict({ measured: alike }, { controls: { jobs: 0, classes: [] } });
    expect(none).toMatchObject({ control_device_seconds: { expected: 0 }, rollout_ms: { expected: 30_500 } });
    const unknown = predict({ measured: alike });
    expect(unknown).toMatchObject({ control_device_seconds: null, rollout_ms: null });
  });

  test('needs a worker for times, a job for device time, and a ready job for times to readiness', () => {
    const none = { ttr_p50_ms: null, ttr_p90_ms: null, makespan_ms: null };
    expect(predict({}, { speeds: [] })).toMatchObject({ device_seconds: { low: expect.any(Number) }, ...none });
    const nothing = predict({ jobs: 0 }, { jobsAhead: 3 });
    expect(nothing).toMatchObject({ device_seconds: { expected: 0, high: 0 }, ttr_p50_ms: null });
    const unready = measured('one', 2, 4).map((job) => ({ ...job, readyMs: null }));
    expect(predict({ measured: unready })).toMatchObject({
      ttr_p50_ms: null,
      makespan_ms: { expected: expect.any(Number) },
    });
  });

  test('of ten thousand jobs takes less than a few seconds', async () => {
    const { result, processorMs } = await timeProcessor(() =>
      predict({ jobs: 10_000 }, { speeds: Array<number>(50).fill(1) }),
    );
    expect(Math.abs(result.device_seconds.expected / 40_000 - 1)).toBeLessThan(0.4);
    expect(processorMs).toBeLessThan(10_000);
  });
});
