import { expect, it } from 'vitest';
import {
  ADAPTATION_DEFAULTS,
  defaultLearningRate,
  fusionOf,
  resolveOptions,
} from '../../../core/adaptation/job-options.ts';
import type { AdaptOptions } from '../../../workers/training/protocol.ts';

it.each([
  ['carried', 192, 5e-4],
  ['fresh', 192, 2e-3],
  // A higher rate first undid what a good start could do there.
  ['carried', 576, 2e-4],
] as const)(
  '%s over at hidden size %i: at most the rate that was measured, and about it',
  (start, hiddenSize, measured) => {
    const found = defaultLearningRate(start, hiddenSize);
    expect(found).toBeLessThanOrEqual(measured);
    expect(found / measured).toBeGreaterThan(0.98);
  },
);

it('keeps what is given and fills in the rest', () => {
  const settings = resolveOptions(
    { maxSteps: 7, seed: undefined, learningRate: 3e-3 },
    { control: false, hiddenSize: 576 },
  );
  expect(settings).toEqual({ ...ADAPTATION_DEFAULTS, maxSteps: 7, learningRate: 3e-3, scratchLearningRate: 3e-3 });
});

it('the baseline of the paper spends twice the evaluations, unless told otherwise', () => {
  const settings = (options: AdaptOptions) =>
    resolveOptions({ strategy: 'relora-paper', ...options }, { control: false, hiddenSize: 192 });
  expect([settings({}).searchEvaluations, settings({ searchEvaluations: 9 }).searchEvaluations]).toEqual([12, 9]);
});

it('a control trains from scratch, at the rate for that', () => {
  const settings = resolveOptions({ strategy: 'auto' }, { control: true, hiddenSize: 192 });
  expect(settings).toMatchObject({ strategy: 'scratch', scratchLearningRate: 2e-3 });
});

it.each([
  [{ coefficients: 'gamma' }, 'option coefficients is "gamma", expected both, alpha, beta'],
  [{ grouping: 'layer' }, 'option grouping is "layer", expected global, block, depth, module'],
  [{ fusionRank: -1 }, 'option fusionRank is -1, expected 0 or a positive integer'],
  [{ fusionRank: 1.5 }, 'option fusionRank is 1.5, expected 0 or a positive integer'],
  [{ fusionEnergy: 0 }, 'option fusionEnergy is 0, expected a number above 0, at most 1'],
  [{ fusionEnergy: 1.01 }, 'option fusionEnergy is 1.01, expected a number above 0, at most 1'],
])('refuses %j', (options, message) => {
  const resolve = () => resolveOptions(options as AdaptOptions, { control: false, hiddenSize: 192 });
  expect(resolve).toThrow(expect.objectContaining({ code: 'invalid_option', message }));
});

it('says what the method is to fuse: by default one pair, both searched, in the old rank', () => {
  const settings = (options: AdaptOptions) => resolveOptions(options, { control: false, hiddenSize: 192 });
  expect(fusionOf(settings({}))).toEqual({
    search: { evaluations: 6, batchSize: 16, alphaBounds: [0, 1.5], betaBounds: [-1.25, 0.5] },
    grouping: 'global',
    fusion: { rank: 'keep' },
  });
  expect(
    fusionOf(settings({ coefficients: 'alpha', grouping: 'depth', fusionRank: 16, fusionEnergy: 0.9 })),
  ).toMatchObject({
    search: { betaBounds: [0, 0] },
    grouping: 'depth',
    fusion: { rank: { cap: 16, energy: 0.9 } },
  });
  expect(fusionOf(settings({ coefficients: 'beta' })).search).toMatchObject({
    alphaBounds: [1, 1],
    betaBounds: [-1.25, 0.5],
  });
});
