import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { fineTunedStrategy, type CandidateRecord } from '../../../../core/method/ladder/candidate.ts';
import { boundsMoving, type Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, run, until } from '../support/toy-runs.ts';

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

  it('keeps what it is where the new base is preferred', async () => {
    const options = until(0, { steps: 0, prefer: 'new_base', search: { ...search, ...boundsMoving('alpha') } });
    const { searchHistory, candidates } = await run('auto', new ToyAdaptation(task), options);
    expect(searchHistory.every(({ beta }) => beta === 0)).toBe(true);
    expect(candidates.find(({ id }) => id === 'search')).toMatchObject({ beta: 0 });
  });
});

describe('a rank that may grow', () => {
  const fusion = { rank: { cap: 5, energy: 1 - 1e-9 } } as const;
  const ranksOf = (adapter: Adapter) => [...adapter.modules.values()].map(({ rank }) => rank);

  it('holds what the old rank leaves out, is judged, and is trained on from', async () => {
    // What the task wants needs the change undone, and more than any fusion has.
    const task: ToyOptions = { change: 0.5, novelty: 0.3 };
    const kept = await run('relora', new ToyAdaptation(task), until(0, { steps: 5 }));
    const toy = new ToyAdaptation(task);
    const grown = await run('relora', toy, until(0, { steps: 5, fusion }));
    expect(new Set(ranksOf(kept.best!.adapter))).toEqual(new Set([3]));
    // Rank 3 of the adapter and 1 of the change.
    expect(grown.best!.id).toBe('fine_tune@5');
    expect(new Set(ranksOf(grown.best!.adapter))).toEqual(new Set([4]));
    expect(grown.best!.adapter.config.rank).toBe(4);
    const { oldAdapter, evolution } = toy.context();
    const found = grown.candidates.find(({ id }) => id === 'search')!;
    const again = await (await Fusion.prepare(oldAdapter, evolution!, fusion)).at(pairOf(found));
    expect(toy.metric(again).metric.value).toBe(found.metric.value);
  });

  it('survives a kill at any call without repeating an evaluation', async () => {
    const options = until(0.03, { steps: 15, fusion: { rank: { cap: 5 } } });
    const { whole, resumed } = await killAtEveryCall('relora', { change: 0.5, novelty: 0.3 }, options);
    expect(whole.outcome.published!.id).toMatch(/^fine_tune@/);
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      for (const call of ['gate', 'search']) expect(toy.count(call)).toBeLessThanOrEqual(whole.toy.count(call) + 1);
    }
  });
});

it('a fine-tuned copy is a warm start, and one of other coefficients is not', () => {
  expect(fineTunedStrategy({ alpha: 1, beta: 0 })).toBe('warm-start');
  expect(fineTunedStrategy({ alpha: 1, beta: -0.3 })).toBe('relora');
  expect(fineTunedStrategy({ alpha: null, beta: null })).toBe('scratch');
});

function pairOf({ alpha, beta }: CandidateRecord): Coefficients {
  return { alpha: alpha!, beta: beta! };
}
