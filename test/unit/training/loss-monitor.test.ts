import { expect, test } from 'vitest';
import { LossMonitor, TrainingDivergedError } from '../../../core/training/loss-monitor.ts';

/** Records losses from step 1 on, and returns the error that they raise, or null. */
function diverge(losses: readonly number[]): TrainingDivergedError | null {
  const monitor = new LossMonitor(8);
  try {
    losses.forEach((loss, i) => monitor.record(loss, { step: i + 1, learningRate: 0.1 }));
    return null;
  } catch (error) {
    return error as TrainingDivergedError;
  }
}

const steady = (count: number, loss: number): number[] => Array.from({ length: count }, () => loss);

test('a single bad batch is not a divergence', () => {
  expect(diverge([...steady(20, 1), 12, ...steady(20, 1)])).toBeNull();
});

test.each([
  // The loss of step 5 belongs to the parameters after 4 steps. Those after 3 steps gave the finite loss of step 4.
  { name: 'not a number', losses: [...steady(4, 1), NaN], step: 5, found: 'the loss is NaN', soundStep: 3 },
  { name: 'not a number from the start', losses: [NaN], step: 1, found: 'the loss is NaN', soundStep: -1 },
  // 1.5 ln 8 = 3.119. Steps 11 to 20 have two losses of 1 and eight of 4, with a mean of 3.4; steps 10 to 19 have a
  // mean of 3.1.
  {
    name: 'rising',
    losses: [...steady(12, 1), ...steady(10, 4)],
    step: 20,
    found: 'the loss rose from 1.000 to 3.400',
    soundStep: 9,
  },
])('a loss that is $name raises the error', ({ losses, step, found, soundStep }) => {
  const error = diverge(losses)!;
  expect(error).toMatchObject({ code: 'training_diverged', step, learningRate: 0.1, soundStep });
  expect(error.message).toBe(`training diverged at step ${step}: ${found}; the learning rate was 0.1, try a lower one`);
});

test.each([
  [[0, 5, 10], 'the last good checkpoint is that of step 5'],
  [[0, 10], 'the last good checkpoint is that of step 0, the initial adapter'],
  [[10], 'there is no good checkpoint'],
  [[], 'there is no good checkpoint'],
])('the error names the last good checkpoint among those at steps %j', (steps, text) => {
  const error = new TrainingDivergedError('the loss is NaN', { step: 11, learningRate: 0.1, soundStep: 9 });
  const named = error.withCheckpoints(steps);
  expect(named.message).toBe(`${error.message}; ${text}`);
  expect(named).toMatchObject({ step: 11, learningRate: 0.1, soundStep: 9 });
});
