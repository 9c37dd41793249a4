import { describe, expect, it } from 'vitest';
import { packagePath } from '../../../core/installation/package-path.ts';
import { withoutCheckout } from '../../experiments/plan/keys.ts';
import { Estimate } from '../../experiments/run/estimate.ts';
import { planExperiment } from '../../experiments/plan.ts';
import { tinyExperiment } from './support/tiny-experiment.ts';

const keysOf = (change?: (yaml: string) => string): string[] =>
  planExperiment(tinyExperiment(change)).map(({ key }) => key);
const names = (keys: readonly string[]): string[] => keys.map((key) => key.replace(/ #.*/, ''));
/** Experiment with two tasks, evolutions and seeds, and one strategy. */
const twoByTwo = (yaml: string): string =>
  yaml
    .replace('/v2 }]', '/v2 }, { name: v3, base: /v3 }]')
    .replace(
      /tasks:\n([^]*?)adapters:/,
      (_, task: string) => `tasks:\n${task}${task.replaceAll('past', 'plural')}adapters:`,
    )
    .replace(/ {2}- \{ name: (scratch|tuned).*\n/g, '');

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

  it('lets a job of a chain follow the same job for the version before', () => {
    const chained = (yaml: string): string =>
      yaml.replace(/evolutions: .*/, 'evolutions: [{ name: v2, base: /v2 }, { name: v3, base: /v3, parent: v2 }]');
    const items = planExperiment(tinyExperiment(chained));
    const cells = items.filter((item) => item.type === 'cell');
    const parents = cells.filter(({ parent }) => parent).map(({ key, parent }) => [key.split(' #')[0], parent!.key]);
    expect(parents[0]).toEqual([
      'cell v3 past lora4 seed-1 16 copy',
      cells.find(({ key }) => key.startsWith('cell v2 past lora4 seed-1 16 copy'))!.key,
    ]);
    expect(cells.filter(({ isParent }) => isParent).map(({ evolution }) => evolution.name)).toEqual(
      Array(5).fill('v2'),
    );
    // The earlier jobs of the chain belong to the settings of an item.
    const alone = keysOf((yaml) => chained(yaml).replace(', parent: v2', ''));
    expect(names(items.map(({ key }) => key).filter((key) => !alone.includes(key)))).toEqual(
      names(alone.filter((key) => /^(evolution|cell) v3/.test(key))),
    );
  });

  it('measures an evolution with its own numbers of rows alone', () => {
    const narrowed = keysOf((yaml) =>
      yaml.replace('rows: [16]', 'rows: [8, 16]').replace('/v2 }]', '/v2 }, { name: v3, base: /v3, rows: [8] }]'),
    );
    const sizes = (evolution: string) =>
      new Set(names(narrowed).flatMap((name) => (name.startsWith(`cell ${evolution}`) ? [name.split(' ')[5]] : [])));
    expect([sizes('v2'), sizes('v3')]).toEqual([new Set(['8', '16']), new Set(['8'])]);
  });
});

describe('the plan of tenants that are measured apart', () => {
  const apart = (yaml: string): string => `${twoByTwo(yaml)}\ntenants_apart: true\n`;

  it('has whole tenants after each other, each with evolutions of its own, and whole seeds', () => {
    const tenant = (name: string): string[] => [
      `evolution v2 ${name}`,
      `tenant ${name}`,
      `reference v2 ${name}`,
      `cell v2 ${name} 16 copy`,
      `evolution v3 ${name}`,
      `reference v3 ${name}`,
      `cell v3 ${name} 16 copy`,
    ];
    expect(names(keysOf(apart))).toEqual(
      ['past lora4 seed-1', 'plural lora4 seed-1', 'past lora4 seed-2', 'plural lora4 seed-2'].flatMap(tenant),
    );
  });

  it('measures a tenant on the evolutions of its task alone', () => {
    const narrowed = names(keysOf((yaml) => apart(yaml).replace('name: v3,', 'name: v3, tasks: [plural],')));
    expect(narrowed.filter((name) => name.includes(' v3 past '))).toEqual([]);
    expect(narrowed.filter((name) => name.startsWith('evolution v3'))).toEqual([
      'evolution v3 plural lora4 seed-1',
      'evolution v3 plural lora4 seed-2',
    ]);
  });

  it('measures the same with the same keys, but for the evolutions, which name their tenants', () => {
    const [together, alone] = [keysOf(twoByTwo), keysOf(apart)];
    const without = (keys: readonly string[]) => keys.filter((key) => !key.startsWith('evolution')).toSorted();
    expect(without(alone)).toEqual(without(together));
    expect(new Set(alone.filter((key) => key.startsWith('evolution v2')).map((key) => key.split(' #')[1]))).toEqual(
      new Set(together.filter((key) => key.startsWith('evolution v2')).map((key) => key.split(' #')[1])),
    );
  });

  it('has evolutions before tenants where they are not, and one of each for all seeds', () => {
    const together = names(keysOf(twoByTwo));
    expect(together.filter((name) => name.startsWith('evolution'))).toEqual(['evolution v2', 'evolution v3']);
    expect(together.filter((name) => name.startsWith('cell'))).toEqual(
      [1, 2].flatMap((seed) =>
        ['v2', 'v3'].flatMap((evolution) =>
          ['past', 'plural'].map((task) => `cell ${evolution} ${task} lora4 seed-${seed} 16 copy`),
        ),
      ),
    );
  });
});

describe('the keys of a plan', () => {
  it('gives a size its own options, and equal options equal keys', () => {
    const bySize = 'options: { max_steps: 3 }, options_by_rows: { 8: { max_steps: 2 } }';
    const two = keysOf((yaml) => yaml.replace('rows: [16]', 'rows: [8, 16]'));
    const changed = keysOf((yaml) =>
      yaml.replace('rows: [16]', 'rows: [8, 16]').replace('options: { max_steps: 2 }', bySize),
    );
    expect(names(changed)).toEqual(names(two));
    expect(names(changed.filter((key) => !two.includes(key)))).toEqual([
      'cell v2 past lora4 seed-1 16 scratch',
      'cell v2 past lora4 seed-2 16 scratch',
    ]);
  });

  it('gives jobs another seed than their tenants where it is asked to, and other keys then', () => {
    const seeded = (yaml: string): string => `${yaml}\njob_seed: 1000\n`;
    const before = keysOf();
    expect(names(keysOf(seeded).filter((key) => !before.includes(key)))).toEqual(
      names(before.filter((key) => key.startsWith('cell'))),
    );
    expect(keysOf((yaml) => `${yaml}\njob_seed: 0\n`)).toEqual(before);
  });

  it('begins each seed of a blind experiment with another strategy', () => {
    const strategies = names(keysOf((yaml) => `${yaml}\nblind: true\n`))
      .filter((name) => name.startsWith('cell'))
      .map((name) => name.split(' ').slice(-3).join(' '));
    expect(strategies).toEqual(
      ['1 16 scratch', '1 16 copy', '2 16 tuned', '2 16 copy', '2 16 scratch'].map((text) => `seed-${text}`),
    );
    expect(keysOf((yaml) => `${yaml}\nblind: true\n`).toSorted()).toEqual(keysOf().toSorted());
  });

  it('gives items the same keys wherever the checkout lies', () => {
    const [key] = keysOf();
    // The key is the hash of the paths relative to the checkout.
    expect(key).toBe('evolution v2 #d204333520');
  });
});

it('keeps nothing of where the checkout lies in what is written of a run', () => {
  const file = packagePath('examples/demo-family/v1');
  expect(withoutCheckout({ base: file, tasks: [{ pool: [file] }], other: '/srv/models' })).toEqual({
    base: 'examples/demo-family/v1',
    tasks: [{ pool: ['examples/demo-family/v1'] }],
    other: '/srv/models',
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
