import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { fineTunedStrategy, type CandidateRecord } from '../../../../core/method/ladder/candidate.ts';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import type { LadderOptions } from '../../../../core/method/ladder/ladder-state.ts';
import { fromCoefficientGroups, meanCoefficients } from '../../../../core/method/fusion/grouping.ts';
import { boundsMoving } from '../../../../core/method/fusion/coefficients.ts';
import { Fusion, type FusionOptions } from '../../../../core/method/fusion/fusion.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ids, ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, run, until } from '../support/toy-runs.ts';

/** Attention wants the change undone and the MLP wants it kept, in two layers. */
const APART: ToyOptions = {
  bestBetas: [
    [-1, 0],
    [-0.8, 0.1],
  ],
  change: 1.05,
};
/** Besides, no fusion is enough. */
const APART_AND_NOVEL: ToyOptions = { ...APART, change: 0.5, novelty: 0.3 };

/** The adapter that a candidate's record stands for, fused anew. */
async function fusedAs(
  { groups }: CandidateRecord,
  { oldAdapter, evolution }: LadderContext,
  options?: FusionOptions,
): Promise<Adapter> {
  const fusion = await Fusion.prepare(oldAdapter, evolution!, options);
  return fusion.at(fromCoefficientGroups(groups!, evolution!.modules.keys()));
}

const searched = ({ candidates }: { candidates: readonly CandidateRecord[] }) =>
  candidates.find(({ id }) => id === 'search')!;

describe('coefficients of groups', () => {
  it.each([
    ['block', 0.5, ['attention', 'mlp']],
    // What the task wants differs within a band.
    ['depth', 1.2, ['band 0', 'band 1']],
    [
      'module',
      0.5,
      [
        'model.layers.0.self_attn.q_proj',
        'model.layers.0.mlp.up_proj',
        'model.layers.1.self_attn.q_proj',
        'model.layers.1.mlp.up_proj',
      ],
    ],
  ] as const)('%s: one pair each, by gradients, kept with its means and published', async (grouping, target, names) => {
    const one = await run('auto', new ToyAdaptation(APART), until(0, { steps: 0 }));
    expect(one.best!.metric.value).toBeGreaterThan(0.9);
    const toy = new ToyAdaptation(APART);
    const outcome = await run('relora', toy, until(target, { grouping }));
    const found = searched(outcome);
    expect(Object.keys(found.groups!.values)).toEqual(names);
    expect(found).toMatchObject({ strategy: 'relora', verdict: 'passed', searchLoss: null, groups: { grouping } });
    const context = toy.context();
    const mean = meanCoefficients(
      fromCoefficientGroups(found.groups!, context.evolution!.modules.keys()),
      toy.old.modules.keys(),
    );
    expect({ alpha: found.alpha, beta: found.beta }).toEqual(mean);
    expect(toy.published).toMatchObject([{ id: 'search', groups: found.groups }]);
    expect(toy.published[0]!.adapter).toEqual(await fusedAs(found, context));
    expect(toy.count('gradients')).toBeLessThanOrEqual(7);
  });

  it.each([
    [
      'copy',
      [
        [-0.2, 0],
        [-0.1, 0.1],
      ],
      0,
    ],
    [
      'revert',
      [
        [-1, -0.9],
        [-0.8, -1.1],
      ],
      -1,
    ],
  ] as const)('begin with %s where that has the smaller loss on the search rows', async (_, bestBetas, beta) => {
    const toy = new ToyAdaptation({ bestBetas });
    const context = toy.context();
    const seen: Adapter[] = [];
    const searchRowGradients: typeof context.searchRowGradients = (adapter) => (
      seen.push(adapter),
      context.searchRowGradients(adapter)
    );
    const { searchHistory } = await runStrategy(
      'relora',
      { ...context, searchRowGradients },
      until(0, { grouping: 'block', steps: 0 }),
    );
    expect(searchHistory.map((point) => point.beta)).toEqual([-1, 0]);
    const { b, rank } = seen[0]!.modules.get('model.layers.0.self_attn.q_proj')!;
    const ofChange = Array.from(b).filter((__, i) => i % rank >= 3);
    expect(ofChange.some((value) => value !== 0)).toBe(beta !== 0);
  });

  it('are those of all modules where the gradients lead nowhere', async () => {
    const task: ToyOptions = { bestBetas: [[0, 0]] };
    const alone = await run('relora', new ToyAdaptation(task), until(-1, { grouping: 'module', steps: 0 }));
    expect(alone.candidates).toMatchObject([{ id: 'search', strategy: 'reuse', alpha: 1, beta: 0 }]);
    expect(searched(alone).groups).toBeUndefined();
    const all = await run('auto', new ToyAdaptation(task), until(-1, { grouping: 'module', steps: 0 }));
    expect(all.rungs.find(({ rung }) => rung === 'search')).toMatchObject({
      result: 'skipped',
      reason: expect.stringContaining('reuse'),
    });
  });

  it('are where fine-tuning begins', async () => {
    const toy = new ToyAdaptation(APART_AND_NOVEL);
    const context = toy.context();
    const seen: Adapter[] = [];
    const fineTune: typeof context.fineTune = (request) => (seen.push(request.initial), context.fineTune(request));
    const outcome = await runStrategy('auto', { ...context, fineTune }, until(0, { grouping: 'module', steps: 10 }));
    const found = searched(outcome);
    expect(seen).toEqual([await fusedAs(found, context)]);
    const tuned = outcome.candidates.filter(({ step }) => step > 0);
    expect(ids(tuned)).toEqual(['fine_tune@5', 'fine_tune@10']);
    for (const candidate of tuned)
      expect(candidate).toMatchObject({ strategy: 'relora', alpha: found.alpha, groups: found.groups });
  });

  it('whose means are those of copy are not copy', () => {
    const values = { attention: { alpha: 1.2, beta: -0.3 }, mlp: { alpha: 0.8, beta: 0.3 } };
    expect(fineTunedStrategy({ alpha: 1, beta: 0, groups: { grouping: 'block', values } })).toBe('relora');
    expect(fineTunedStrategy({ alpha: 1, beta: 0 })).toBe('warm-start');
  });

  it.each<[string, ToyOptions, LadderOptions, string]>([
    ['published as it was fused', APART, until(0.5, { grouping: 'block', steps: 5 }), 'search'],
    ['fine-tuned', APART_AND_NOVEL, until(0.01, { grouping: 'module', steps: 15, refineSteps: 5 }), 'fine_tune@15'],
    [
      'fine-tuned in a grown rank',
      APART_AND_NOVEL,
      until(0.03, { grouping: 'module', steps: 15, fusion: { rank: { cap: 5 } } }),
      'fine_tune@10',
    ],
  ])('survive a kill at any call without repeating an evaluation: %s', async (_, task, options, published) => {
    const { whole, resumed } = await killAtEveryCall('relora', task, options);
    expect(whole.toy.count('gradients')).toBe(7);
    expect(whole.outcome.published!.id).toBe(published);
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      for (const call of ['gate', 'search', 'gradients'])
        expect(toy.count(call)).toBeLessThanOrEqual(whole.toy.count(call) + 1);
    }
  });
});

describe('one coefficient alone', () => {
  const task: ToyOptions = { change: 0.3, bestAlpha: 1.3, bestBeta: -0.7 };
  const search = { evaluations: 6, stepGain: 0, racing: false };

  it.each(['relora', 'relora-paper'] as const)('%s searches along its axis, through copy', async (strategy) => {
    const along = async (moved: 'alpha' | 'beta') => {
      const options = until(0, { steps: 0, search: { ...search, ...boundsMoving(moved) } });
      const { searchHistory, candidates } = await run(strategy, new ToyAdaptation(task), options);
      const other = moved === 'alpha' ? 'beta' : 'alpha';
      const still = moved === 'alpha' ? 0 : 1;
      expect(new Set(searchHistory.map((point) => point[other]))).toEqual(new Set([still]));
      expect(new Set(searchHistory.map((point) => point[moved])).size).toBeGreaterThan(3);
      expect(candidates[0]![other]).toBe(still);
      return candidates[0]!;
    };
    expect((await along('alpha')).alpha).toBeGreaterThan(1);
    expect((await along('beta')).beta).toBeLessThan(0);
  });

  it.each([
    ['alpha', (groups: { alpha: number; beta: number }[]) => groups.every(({ beta }) => beta === 0)],
    ['beta', (groups: { alpha: number; beta: number }[]) => groups.every(({ alpha }) => alpha === 1)],
  ] as const)('%s of groups moves along it, too', async (moved, isOnAxis) => {
    const toy = new ToyAdaptation({ ...APART, bestAlpha: 0.7 });
    const { candidates } = await run(
      'relora',
      toy,
      until(0, { steps: 0, grouping: 'module', search: boundsMoving(moved) }),
    );
    const pairs = Object.values(candidates[0]!.groups!.values);
    expect(new Set(pairs.map((pair) => pair[moved])).size).toBe(4);
    expect(isOnAxis(pairs)).toBe(true);
    // A fixed beta leaves copy alone to begin with.
    expect(toy.count('search')).toBe(moved === 'alpha' ? 0 : 2);
  });

  it.each(['global', 'block'] as const)('keeps what it is where the new base is preferred: %s', async (grouping) => {
    const plain = grouping === 'global' ? task : { ...APART, bestAlpha: 0.7 };
    const options = until(0, {
      steps: 0,
      prefer: 'new_base',
      grouping,
      search: { ...search, ...boundsMoving('alpha') },
    });
    const { searchHistory, candidates } = await run('auto', new ToyAdaptation(plain), options);
    expect(searchHistory.every(({ beta }) => beta === 0)).toBe(true);
    expect(searched({ candidates })).toMatchObject({ beta: 0 });
  });

  it('undoes half of the change at most where groups prefer the new base', async () => {
    const options = until(0, { steps: 0, prefer: 'new_base', grouping: 'module' });
    const { searchHistory, candidates } = await run(
      'auto',
      new ToyAdaptation({
        bestBetas: [
          [-1, -0.9],
          [-0.3, -1],
        ],
      }),
      options,
    );
    const betas = Object.values(searched({ candidates }).groups!.values).map(({ beta }) => beta);
    expect(Math.min(...betas)).toBe(-0.5);
    expect(searchHistory.map(({ beta }) => beta)).toEqual([-0.5, 0]);
  });
});

describe('a rank that may grow', () => {
  const fusion = { rank: { cap: 5, energy: 1 - 1e-9 } } as const;
  const ranksOf = (adapter: Adapter) => [...adapter.modules.values()].map(({ rank }) => rank);

  it('holds what the old rank leaves out, is judged, and is trained on from', async () => {
    const kept = await run('relora', new ToyAdaptation(APART_AND_NOVEL), until(0, { steps: 5, grouping: 'module' }));
    const toy = new ToyAdaptation(APART_AND_NOVEL);
    const grown = await run('relora', toy, until(0, { steps: 5, grouping: 'module', fusion }));
    expect(new Set(ranksOf(kept.best!.adapter))).toEqual(new Set([3]));
    // Rank 3 of the adapter and 1 of the change.
    expect(grown.best!.id).toBe('fine_tune@5');
    expect(new Set(ranksOf(grown.best!.adapter))).toEqual(new Set([4]));
    expect(grown.best!.adapter.config.rank).toBe(4);
    const again = await fusedAs(searched(grown), toy.context(), fusion);
    expect(toy.metric(again).metric.value).toBe(searched(grown).metric.value);
  });
});
