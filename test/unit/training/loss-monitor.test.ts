import { expect, test } from 'vitest';
import { LossMonitor, TrainingDivergedError } from '../../../core/training/loss-monitor.ts';

/** Feeds losses from step 1 on; the error that they raise, if any. */
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

test('a single bad batch is no divergence', () => {
  expect(diverge([...steady(20, 1), 12, ...steady(20, 1)])).toBeNull();
});

test.each([
  // The loss of step 5 is that of the parameters after 4 steps; those after 3 gave the number of step 4.
  { name: 'no number', losses: [...steady(4, 1), NaN], step: 5, found: 'the loss is NaN', soundStep: 3 },
  { name: 'no number at once', losses: [NaN], step: 1, found: 'the loss is NaN', soundStep: -1 },
  // 1.5 ln 8 = 3.119. Steps 11 to 20 are two of 1 and eight of 4: a mean of 3.4; steps 10 to 19 have one of 3.1.
  {
    name: 'rising',
    losses: [...steady(12, 1), ...steady(10, 4)],
    step: 20,
    found: 'the loss rose from 1.000 to 3.400',
    soundStep: 9,
  },
])('a loss that is $name', ({ losses, step, found, soundStep }) => {
  const error = diverge(losses)!;
  expect(error).toMatchObject({ code: 'training_diverged', step, learningRate: 0.1, soundStep });
  expect(error.message).toBe(`training diverged at step ${step}: ${found}; the learning rate was 0.1, try a lower one`);
});

test.each([
  [[0, 5, 10], 'the last good checkpoint is that of step 5'],
  [[0, 10], 'the last good checkpoint is that of step 0, the initial adapter'],
  [[10], 'there is no good checkpoint'],
  [[], 'there is no good checkpoint'],
])('of the checkpoints at steps %j it names the last one before', (steps, text) => {
  const error = new TrainingDivergedError('the loss is NaN', { step: 11, learningRate: 0.1, soundStep: 9 });
  const named = error.withCheckpoints(steps);
  expect(named.message).toBe(`${error.message}; ${text}`);
  expect(named).toMatchObject({ step: 11, learningRate: 0.1, soundStep: 9 });
});
