import { describe, expect, it } from 'vitest';
import type { LadderOptions } from '../../../../core/method/ladder/ladder-state.ts';
import { ids, ToyAdaptation } from '../support/toy-adaptation.ts';
import { NOVEL, run, until } from '../support/toy-runs.ts';

/** Base whose change matters to the task: undoing it removes most of the loss. */
const FAR = { ...NOVEL, change: 1 };

describe('auto', () => {
  it('looks at revert before it searches where the change of the base matters little to the task', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(3));
    expect(toy.rungs()).toEqual(['revert']);
    expect(toy.calls).toEqual(['search', 'search', 'gate', 'publish revert']);
    expect(outcome).toMatchObject({ ready: true, strategy: 'revert', alpha: 1, beta: -1 });
    expect(outcome.searchHistory.map(({ alpha, beta }) => [alpha, beta])).toEqual([
      [1, 0],
      [1, -1],
    ]);
  });

  it('searches before the gate is asked where it matters much, and stops where what it found passes', async () => {
    const toy = new ToyAdaptation({ change: 0.6, bestAlpha: 1.2, bestBeta: -0.4 });
    const outcome = await run('auto', toy, until(0.06));
    expect(toy.rungs()).toEqual(['revert', 'search']);
    expect(toy.calls.filter((call) => call !== 'search')).toEqual(['gate', 'publish search']);
    expect(toy.events).toContainEqual({
      type: 'skipped',
      rung: 'revert',
      reason:
        'revert has 3.84 times the loss of copy on the search rows; ' +
        'between 0.75 and 1.05 times, revert is looked at first',
    });
    expect(outcome).toMatchObject({ ready: true, strategy: 'relora' });
    const losses = outcome.searchHistory.map(({ loss }) => loss);
    expect(losses).toHaveLength(8);
    expect(toy.count('search')).toBe(8);
    expect(outcome.published!.searchLoss).toBe(Math.min(...losses));
  });

  it.each([
    ['copy', 'reuse', { bestBeta: 0 }, { alpha: 1, beta: 0 }],
    ['revert', 'revert', {}, { alpha: 1, beta: -1 }],
  ])('publishes %s where nothing that was searched is better', async (_, strategy, options, coefficients) => {
    const toy = new ToyAdaptation({ change: 0.5, ...options });
    const outcome = await run('auto', toy, until(0.01));
    expect(outcome).toMatchObject({ ready: true, strategy, ...coefficients });
    expect(ids(outcome.candidates)).toEqual(['search']);
    if (strategy === 'reuse') expect(outcome.published!.adapter).toBe(toy.old);
  });

  it('fine-tunes the copy where the search has no budget', async () => {
    const toy = new ToyAdaptation({ ...NOVEL, bestBeta: 0 });
    const outcome = await run('auto', toy, until(0.1, { search: { evaluations: 0 } }));
    expect(toy.rungs()).toEqual(['revert', 'copy', 'fine_tune']);
    expect(ids(outcome.candidates.filter(({ step }) => step === 0))).toEqual(['copy']);
    expect(toy.events).toContainEqual({ type: 'skipped', rung: 'search', reason: 'its budget of evaluations is 0' });
  });

  it('looks first at a revert much better than the copy where the gate publishes what it cannot certify', async () => {
    const gate = { metric: 'loss', kind: 'relative', margin: 9, on_inconclusive: 'publish' } as const;
    const first = async (options: Partial<LadderOptions>) => {
      const toy = new ToyAdaptation(FAR);
      return (await run('auto', toy, until(0, { old: toy.metric(toy.old), ...options }))).candidates[0]!.rung;
    };
    expect(await first({ gate })).toBe('revert');
    expect(await first({ gate: { ...gate, on_inconclusive: 'hold' } })).toBe('search');
  });

  it.each([0, 1])(
    'judges a revert that is much better than the copy where the search has %i evaluations',
    async (evaluations) => {
      const toy = new ToyAdaptation({ ...FAR, canTrain: false });
      const { candidates } = await run('auto', toy, until(1e-9, { search: { evaluations } }));
      expect(candidates[0]).toMatchObject({ rung: evaluations === 0 ? 'revert' : 'search', alpha: 1, beta: -1 });
    },
  );

  it('fine-tunes what the search found where it does not pass, and stops at the first pass', async () => {
    const toy = new ToyAdaptation(FAR);
    const outcome = await run('auto', toy, until(0.1));
    expect(toy.rungs()).toEqual(['revert', 'search', 'fine_tune']);
    expect(toy.events).toContainEqual({
      type: 'skipped',
      rung: 'copy',
      reason: 'the search found something better on the search rows',
    });
    const [start] = outcome.candidates;
    expect(start).toMatchObject({ id: 'search', step: 0 });
    expect([outcome.alpha, outcome.beta]).toEqual([start!.alpha, start!.beta]);
    const passed = outcome.candidates.filter(({ verdict }) => verdict === 'passed');
    expect(ids(passed)).toEqual([outcome.published!.id]);
    expect(outcome.candidates.at(-1)!.id).toBe(outcome.published!.id);
    expect(outcome.published!.step).toBeGreaterThan(0);
    expect(toy.count('step')).toBe(outcome.published!.step);
    expect(toy.metric(outcome.published!.adapter).metric.value).toBe(outcome.published!.metric.value);
  });

  it('is not ready out of budget, publishes nothing and keeps the best', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(1e-9, { steps: 10 }));
    expect(outcome).toMatchObject({ ready: false, published: null });
    expect(toy.published).toEqual([]);
    expect(outcome.best!.metric.value).toBe(Math.min(...outcome.candidates.map(({ metric }) => metric.value)));
    expect(toy.metric(outcome.best!.adapter).metric.value).toBe(outcome.best!.metric.value);
    expect(toy.count('step')).toBe(10);
  });

  it('refines after a pass only as far as asked, and publishes again only what is better', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const first = (await run('auto', new ToyAdaptation(NOVEL), until(0.3))).published!;
    const outcome = await run('auto', toy, until(0.3, { refineSteps: 10 }));
    expect(toy.published[0]!.id).toBe(first.id);
    expect(toy.count('step')).toBe(first.step + 10);
    const metrics = toy.published.map(({ metric }) => metric.value);
    expect(metrics.length).toBeGreaterThan(1);
    expect(metrics).toEqual([...metrics].sort((a, b) => b - a));
    expect(outcome.published!.metric.value).toBe(metrics.at(-1));
  });

  it('does not publish again what is better within noise only', async () => {
    const toy = new ToyAdaptation({ ...NOVEL, gateNoise: 0.4 });
    const outcome = await run('auto', toy, until(0.6, { refineSteps: 10, evaluateEvery: 1 }));
    const [first] = toy.published;
    const better = outcome.candidates.filter(
      ({ metric, elapsedMs }) => elapsedMs > first!.elapsedMs && metric.value < first!.metric.value,
    );
    expect(better.length).toBeGreaterThan(0);
    expect(toy.published).toHaveLength(1);
    expect(outcome.best!.id).toBe(first!.id);
  });

  it('refines what an early rung published, and never publishes something worse', async () => {
    const toy = new ToyAdaptation({ change: 0, learningRate: 60, novelty: 0.05 });
    const target = toy.metric(toy.old).metric.value;
    const outcome = await run('auto', toy, until(target, { refineSteps: 5, evaluateEvery: 1 }));
    expect(toy.rungs()).toEqual(['copy', 'fine_tune']);
    expect(toy.count('step')).toBe(5);
    // The search rows show that training makes it worse, so the gate does not judge again.
    const watched = toy.events.flatMap((event) => (event.type === 'watched' ? [event.watched] : []));
    expect(watched.map(({ looked }) => looked)).toEqual([true, false, false, false, false, false]);
    expect(toy.published.map(({ id }) => id)).toEqual(['copy']);
    expect(ids(outcome.candidates)).toEqual(['copy']);
  });

  it('has nothing to revert or search where the base did not change', async () => {
    const toy = new ToyAdaptation({ change: 0, novelty: 0.5 });
    await run('auto', toy, until(0.1));
    expect(toy.rungs()).toEqual(['copy', 'fine_tune']);
    expect(toy.events).toContainEqual({
      type: 'skipped',
      rung: 'search',
      reason: 'no adaptable module of the base changed',
    });
  });
});
