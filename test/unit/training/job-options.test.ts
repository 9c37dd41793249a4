import { expect, it } from 'vitest';
import { ADAPTATION_DEFAULTS, defaultLearningRate, resolveOptions } from '../../../workers/training/job-options.ts';

it.each([
  ['carried', 192, 5e-4],
  ['fresh', 192, 2e-3],
  // A higher rate first undid what a good start could do there.
  ['carried', 576, 2e-4],
] as const)('%s over at hidden size %i: at most the rate that was measured, and about it', (start, hiddenSize, measured) => {
  const found = defaultLearningRate(start, hiddenSize);
  expect(found).toBeLessThanOrEqual(measured);
  expect(found / measured).toBeGreaterThan(0.98);
});

it('keeps what is given and fills in the rest', () => {
  const settings = resolveOptions({ maxSteps: 7, seed: undefined, learningRate: 3e-3 }, { control: false, hiddenSize: 576 });
  expect(settings).toEqual({ ...ADAPTATION_DEFAULTS, maxSteps: 7, learningRate: 3e-3, scratchLearningRate: 3e-3 });
});

it('a control trains from scratch, at the rate for that', () => {
  const settings = resolveOptions({ strategy: 'auto' }, { control: true, hiddenSize: 192 });
  expect(settings).toMatchObject({ strategy: 'scratch', scratchLearningRate: 2e-3 });
});
