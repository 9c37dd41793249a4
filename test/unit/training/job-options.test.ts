import { expect, it } from 'vitest';
import { ADAPTATION_DEFAULTS, defaultLearningRate, resolveOptions } from '../../../workers/training/job-options.ts';

it.each([
  ['auto', 192, 5e-4],
  ['warm-start', 192, 5e-4],
  ['scratch', 192, 2e-3],
  ['relora', 576, 2e-4],
] as const)('%s at hidden size %i: about the rate that was measured', (strategy, hiddenSize, expected) => {
  const found = defaultLearningRate(strategy, hiddenSize);
  expect(Math.abs(found / expected - 1)).toBeLessThan(0.02);
});

it('keeps what is given and fills in the rest', () => {
  const settings = resolveOptions({ maxSteps: 7, seed: undefined, learningRate: 3e-3 }, { control: false, hiddenSize: 576 });
  expect(settings).toEqual({ ...ADAPTATION_DEFAULTS, maxSteps: 7, learningRate: 3e-3 });
});

it('a control trains from scratch, at the rate for that', () => {
  const settings = resolveOptions({ strategy: 'auto' }, { control: true, hiddenSize: 192 });
  expect(settings).toMatchObject({ strategy: 'scratch', learningRate: 2e-3 });
});
