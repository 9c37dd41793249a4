import { describe, expect, it } from 'vitest';
import { ladderOptions } from '../../../core/adaptation/setup/job-setup.ts';
import { DEFAULT_REGULARIZATION } from '../../../core/method/regularization/regularization.ts';
import type { GivenJobOptions } from '../../../core/options/job-options.ts';
import { DEFAULT_JOB_OPTIONS, defaultLearningRate, resolveJobOptions } from '../../../core/options/job-settings.ts';

const resolve = (options: GivenJobOptions, { control = false, hiddenSize = 192 } = {}) =>
  resolveJobOptions(options, { control, hiddenSize });

it.each([
  ['carried', 192, 5e-4],
  ['fresh', 192, 2e-3],
  // At this size, a higher rate first destroyed the knowledge of a good start.
  ['carried', 576, 2e-4],
] as const)(
  'the default rate of %s adapters at hidden size %i is the measured rate or a little less',
  (start, hiddenSize, measured) => {
    const found = defaultLearningRate(start, hiddenSize);
    expect(found).toBeLessThanOrEqual(measured);
    expect(found / measured).toBeGreaterThan(0.98);
  },
);

it('keeps the given options and fills in the others', () => {
  const settings = resolve({ max_steps: 7, seed: undefined, learning_rate: 3e-3 }, { hiddenSize: 576 });
  expect(settings).toEqual({
    strategy: 'auto',
    prefer: 'old_behavior',
    maxSteps: 7,
    batchSize: 16,
    learningRate: 3e-3,
    scratchLearningRate: 3e-3,
    evaluateEvery: 20,
    maxNewTokens: 0,
    patience: 5,
    leastPower: 0.5,
    refineSteps: 0,
    searchEvaluations: 12,
    searchRows: 64,
    fusionRank: 0,
    regularizeTowards: 'initial',
    regularizeSchedule: 'two_stage',
    regularizeStrength: 0.1,
    seed: 0,
  });
});

it('a control trains from scratch, at the rate for fresh adapters', () => {
  expect(resolve({ strategy: 'auto' }, { control: true })).toMatchObject({
    strategy: 'scratch',
    scratchLearningRate: 2e-3,
  });
});

it.each([
  [{ coefficients: 'both' }, 'options.coefficients is not known, expected one of strategy, prefer'],
  [{ distill: 'soft' }, 'options.distill is not known, expected one of strategy, prefer'],
  [{ grouping: 'block' }, 'options.grouping is not known, expected one of strategy, prefer'],
  [{ fusion_rank: -1 }, 'options.fusion_rank is -1, expected at least 0'],
  [{ fusion_rank: 1.5 }, 'options.fusion_rank is 1.5, expected an integer'],
  [{ fusion_energy: 1 }, 'options.fusion_energy is not known, expected one of strategy, prefer'],
  [{ regularize_strength: -1 }, 'options.regularize_strength is -1, expected at least 0'],
  [{ regularize_towards: 'nowhere' }, 'options.regularize_towards is "nowhere", expected initial'],
  [{ regularize_space: 'product' }, 'options.regularize_space is not known, expected one of strategy, prefer'],
  [{ fusion_energie: 1 }, 'options.fusion_energie is not known, expected one of strategy, prefer'],
])('refuses %j', (options, message) => {
  expect(() => resolve(options as GivenJobOptions)).toThrow(
    expect.objectContaining({ code: 'invalid_option', message: expect.stringContaining(message) as string }),
  );
});

it('takes the defaults that depend on nothing else from the table', () => {
  expect(Object.keys(DEFAULT_JOB_OPTIONS)).toHaveLength(16);
  expect(resolve({})).toMatchObject({ patience: DEFAULT_JOB_OPTIONS.patience, seed: DEFAULT_JOB_OPTIONS.seed });
});

describe('what a ladder is told of its penalty', () => {
  it('pulls towards the fused update if it is told to, and leaves everything else as it was', () => {
    expect(ladderOptions(resolve({ regularize_towards: 'fused' })).regularization).toEqual({
      ...DEFAULT_REGULARIZATION,
      towards: 'fused',
    });
    expect(ladderOptions(resolve({ strategy: 'relora-paper' })).regularization).toEqual(DEFAULT_REGULARIZATION);
  });
});
