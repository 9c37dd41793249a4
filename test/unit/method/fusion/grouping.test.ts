import { describe, expect, it } from 'vitest';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { everyGroup, groupingOf } from '../../../../core/method/fusion/grouping.ts';
import { JobOptions } from '../../../../core/options/job-options.ts';
import { evolutionOf, randomAdapter } from '../support/adapters.ts';
import { randomMatrix } from '../support/matrices.ts';

const LAYERS = 5;
const PROJECTIONS = ['self_attn.q_proj', 'self_attn.qkv_proj', 'mlp.down_proj', 'mlp.gate_up_proj'];
const NAMES = Array.from({ length: LAYERS }, (_, layer) =>
  PROJECTIONS.map((name) => `model.layers.${layer}.${name}`),
).flat();

describe('groupings', () => {
  it.each([
    ['global', ['all']],
    ['block', ['attention', 'mlp']],
    ['module', NAMES],
    ['depth', ['band 0', 'band 1', 'band 2', 'band 3']],
  ] as const)('by name: %s', (name, groups) => {
    expect([...everyGroup(groupingOf(name, NAMES), NAMES, { alpha: 1, beta: 0 }).values.keys()]).toEqual(groups);
  });

  it('by depth has as many bands as layers where those are fewer than four', () => {
    const two = NAMES.filter((name) => name < 'model.layers.2');
    expect(new Set(two.map(groupingOf('depth', two)))).toEqual(new Set(['band 0', 'band 1']));
  });

  it('tells blocks and bands apart', () => {
    expect(NAMES.slice(0, 4).map(groupingOf('block', NAMES))).toEqual(['attention', 'attention', 'mlp', 'mlp']);
    const bands = groupingOf('depth', NAMES);
    expect([0, 1, 2, 3, 4].map((layer) => bands(`model.layers.${layer}.mlp.up_proj`).at(-1))).toEqual([
      '0',
      '0',
      '1',
      '2',
      '3',
    ]);
  });

  it('refuses modules that are in no group', () => {
    expect(() => groupingOf('depth', NAMES)('model.layers.5.mlp.up_proj')).toThrow("none of the model's 5 layers");
    expect(() => groupingOf('block', NAMES)('model.embed_tokens')).toThrow('neither self_attn nor mlp');
  });
});

describe('fusion with coefficients of groups', async () => {
  const shapes = NAMES.map((name) => ({ name, outFeatures: 12, inFeatures: 9 }));
  const adapter = randomAdapter(shapes, 2, 4, 1);
  const fusion = await Fusion.prepare(
    adapter,
    evolutionOf(new Map(NAMES.map((name, i) => [name, randomMatrix(12, 9, i)]))),
  );

  it('gives each module the pair of its group', async () => {
    const attention = { alpha: 0.8, beta: -0.4 };
    const mlp = { alpha: 1.1, beta: 0.2 };
    const mixed = await fusion.at({
      grouping: groupingOf('block', NAMES),
      values: new Map(Object.entries({ attention, mlp })),
    });
    const [ofAttention, ofMlp] = [await fusion.at(attention), await fusion.at(mlp)];
    for (const name of NAMES) {
      expect(mixed.modules.get(name)).toEqual((name.includes('self_attn') ? ofAttention : ofMlp).modules.get(name));
    }
  });

  it.each(JobOptions.properties.grouping.enum)('one pair everywhere is the global pair: %s', async (name) => {
    const pair = { alpha: 0.9, beta: -0.7 };
    expect(await fusion.at(everyGroup(groupingOf(name, NAMES), NAMES, pair))).toEqual(await fusion.at(pair));
  });

  it('names the group that has no coefficients, and those that are no numbers', async () => {
    const values = new Map([['attention', { alpha: 1, beta: 0 }]]);
    await expect(fusion.at({ grouping: groupingOf('block', NAMES), values })).rejects.toThrow(
      'group mlp of module model.layers.0.mlp.down_proj',
    );
    values.set('mlp', { alpha: 1, beta: Infinity });
    await expect(fusion.at({ grouping: groupingOf('block', NAMES), values })).rejects.toThrow(
      'of group mlp are alpha 1 and beta Infinity',
    );
  });
});
