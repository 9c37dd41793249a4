import { describe, expect, it } from 'vitest';
import { Estimate } from '../../../experiments/estimate.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import { tinyExperiment } from './support/tiny-experiment.ts';

const keysOf = (change?: (yaml: string) => string): string[] =>
  planExperiment(tinyExperiment(change)).map(({ key }) => key);
const names = (keys: readonly string[]): string[] => keys.map((key) => key.replace(/ #.*/, ''));

describe('the plan of an experiment', () => {
  it('lists shared items first and the wanted strategies of each tenant after each other', () => {
    const tenant = (seed: number): string[] => [
      `tenant past lora4 seed-${seed}`,
      `reference v2 past lora4 seed-${seed}`,
      `cell v2 past lora4 seed-${seed} 16 copy`,
      `cell v2 past lora4 seed-${seed} 16 scratch`,
    ];
    expect(names(keysOf())).toEqual(['evolution v2', ...tenant(1), ...tenant(2), 'cell v2 past lora4 seed-2 16 tuned']);
  });

  it('changes the keys of items whose settings change, and no others', () => {
    const before = keysOf();
    const budget = keysOf((yaml) => yaml.replace('max_steps: 4', 'max_steps: 6'));
    expect(budget.filter((key) => !before.includes(key)).map((key) => key.split(' ')[6])).toEqual(['tuned']);
    const recipe = keysOf((yaml) => yaml.replace('steps: 2, batch_size', 'steps: 3, batch_size'));
    expect(names(recipe.filter((key) => before.includes(key)))).toEqual(['evolution v2']);
    expect(keysOf((yaml) => yaml.replace('seeds: [1, 2]', 'seeds: [2, 1, 3]'))).toEqual(expect.arrayContaining(before));
  });

  it('runs each job with each of the samples of validation rows that its strategy takes', () => {
    const drawn = names(
      keysOf((yaml) =>
        yaml
          .replace('seeds: [1, 2]', 'seeds: [1]\ndraws: [1, 2]')
          .replace('strategy: reuse', 'strategy: reuse, draws: [2]'),
      ),
    );
    expect(drawn.filter((name) => name.startsWith('cell'))).toEqual([
      'cell v2 past lora4 seed-1 draw-1 16 scratch',
      'cell v2 past lora4 seed-1 draw-2 16 copy',
      'cell v2 past lora4 seed-1 draw-2 16 scratch',
    ]);
  });

  it('gives items the same keys wherever the checkout lies', () => {
    const [key] = keysOf();
    // The hash of the paths relative to the checkout, and of nothing else.
    expect(key).toBe('evolution v2 #d204333520');
  });
});

describe('the estimate of the time left', () => {
  it('takes the mean of the most similar items, and is null before any has been measured', () => {
    const estimate = new Estimate();
    const [slow, fast, other] = [['cell a x', 'cell'], ['cell b x', 'cell'], ['tenant']].map((groups) => ({ groups }));
    expect(estimate.left([slow!])).toBeNull();
    estimate.note(slow!, 100);
    estimate.note(slow!, 300);
    estimate.note(fast!, 20);
    expect(estimate.left([slow!, fast!, { groups: ['cell c x', 'cell'] }])).toBeCloseTo(200 + 20 + 420 / 3);
    expect(estimate.left([slow!, other!])).toBeNull();
  });
});
