import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { CandidateRecord } from '../../../../core/method/ladder/candidate.ts';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, run, until } from '../support/toy-runs.ts';

describe('a rank that may grow', () => {
  const fusion = { maxRank: 4 };
  const ranksOf = (adapter: Adapter) => [...adapter.modules.values()].map(({ rank }) => rank);

  it('holds what the old rank leaves out, is judged, and is trained on from', async () => {
    // The task needs the change undone, and more than any fusion reaches.
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
    const options = until(0.03, { steps: 15, fusion });
    const { whole, resumed } = await killAtEveryCall('relora', { change: 0.5, novelty: 0.3 }, options);
    expect(whole.outcome.published!.id).toMatch(/^fine_tune@/);
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      for (const call of ['gate', 'search']) expect(toy.count(call)).toBeLessThanOrEqual(whole.toy.count(call) + 1);
    }
  });
});

function pairOf({ alpha, beta }: CandidateRecord): Coefficients {
  return { alpha: alpha!, beta: beta! };
}
