import { describe, expect, it } from 'vitest';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ids, ToyAdaptation } from '../support/toy-adaptation.ts';
import { NOVEL, run, until } from '../support/toy-runs.ts';

const watchedIds = ({ events }: ToyAdaptation) =>
  events.flatMap((event) => (event.type === 'watched' ? [event.watched.id] : []));

describe('auto: what is kept, and what is there', () => {
  it('that prefers the new base reverts last, and undoes half of its change at most before', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(1e-9, { prefer: 'new_base', steps: 10 }));
    expect(toy.rungs()).toEqual(['copy', 'search', 'fine_tune', 'revert']);
    // Copy and revert are measured before, to decide whether to look at the copy first.
    const tried = outcome.searchHistory.slice(2).map(({ beta }) => beta);
    expect(tried.length).toBeGreaterThan(2);
    expect(Math.min(...tried)).toBeGreaterThanOrEqual(-0.5);
    // The plain task of the toy is to revert, which the last rung finds.
    const plain = new ToyAdaptation();
    const reverted = await run('auto', plain, until(0.1, { prefer: 'new_base', steps: 0 }));
    expect(reverted).toMatchObject({ ready: true, strategy: 'revert' });
    expect(plain.rungs().at(-1)).toBe('revert');
  });

  it.each([
    ['training rows', { canTrain: false }, {}],
    ['steps', {}, { steps: 0 }],
  ])('that prefers the new base judges the copy, too, without %s', async (_, options, given) => {
    const toy = new ToyAdaptation({ ...NOVEL, change: 1, ...options });
    const { candidates } = await run('auto', toy, until(1e-9, { prefer: 'new_base', ...given }));
    expect(ids(candidates)).toEqual(['copy', 'search', 'revert']);
  });

  it.each(['old_behavior', 'new_base'] as const)(
    'skips no rung when a run is resumed at its end: %s',
    async (prefer) => {
      const toy = new ToyAdaptation({ ...NOVEL, change: 1, canTrain: false });
      const options = until(1e-9, { prefer });
      const whole = await run('auto', toy, options);
      toy.events.length = 0;
      const resumed = await run('auto', toy, options);
      expect(resumed.candidates).toEqual(whole.candidates);
      const skipped = toy.events.flatMap((event) => (event.type === 'skipped' ? [event.rung] : []));
      expect(skipped.filter((rung) => whole.candidates.some((candidate) => candidate.rung === rung))).toEqual([]);
    },
  );

  it('gives the rest of the budget to training from scratch where fine-tuning gets no better', async () => {
    // The steps are so large that training diverges: the first evaluation is the best, two more end it.
    const toy = new ToyAdaptation({ ...NOVEL, learningRate: 10 });
    const outcome = await run('auto', toy, until(1e-9, { steps: 40, patience: 2 }));
    expect(toy.rungs()).toEqual(['revert', 'search', 'fine_tune', 'scratch']);
    const trained = watchedIds(toy).filter((id) => id.includes('@'));
    const tuned = ['fine_tune@5', 'fine_tune@10', 'fine_tune@15'];
    expect(trained).toEqual([...tuned, 'scratch@5', 'scratch@10', 'scratch@15', 'scratch@20', 'scratch@25']);
    // A diverged adapter is not worth a look at the gate.
    expect(outcome.candidates.filter(({ step }) => step > 0)).toEqual([]);
    expect(outcome.best!.step).toBe(0);
    // Without patience the first training uses all steps.
    const stubborn = new ToyAdaptation({ ...NOVEL, learningRate: 10 });
    const { rungs } = await run('auto', stubborn, until(1e-9, { steps: 40 }));
    expect(rungs.at(-1)).toMatchObject({
      rung: 'scratch',
      result: 'skipped',
      reason: 'the budget of steps is used up',
    });
  });

  it.each([
    ['training rows', { canTrain: false }, {}, 'no training rows are shared'],
    ['steps', {}, { steps: 0 }, 'the budget of steps is 0'],
  ])('judges the copy, too, without %s', async (_, options, given, reason) => {
    const toy = new ToyAdaptation({ ...NOVEL, ...options });
    const outcome = await run('auto', toy, until(1e-9, given));
    expect(ids(outcome.candidates)).toEqual(['revert', 'search', 'copy']);
    expect(toy.count('step')).toBe(0);
    const skipped = outcome.rungs.filter(({ result }) => result === 'skipped');
    expect(skipped.map((rung) => [rung.rung, rung.reason])).toEqual([
      ['fine_tune', reason],
      ['scratch', reason],
    ]);
  });

  it('judges no adapter twice', async () => {
    const copying = await run('auto', new ToyAdaptation({ bestBeta: 0, canTrain: false }), until(-1));
    expect(ids(copying.candidates)).toEqual(['search']);
    expect(copying.rungs[2]).toMatchObject({ rung: 'copy', reason: 'it is what the search found, which was tried' });
    // The change is so small that revert is looked at first, and is hardly worse than the best.
    const near = new ToyAdaptation({ ...NOVEL, bestBeta: 0, change: 0.2 });
    const reverting = await run('auto', near, until(1e-9, { steps: 5 }));
    expect(ids(reverting.candidates)).toEqual(['revert', 'fine_tune@5']);
    expect(reverting.rungs[1]).toMatchObject({ reason: 'it found nothing better than revert, which was tried' });
  });

  it('fine-tunes what the search rows prefer, whatever the gate rows say', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const looks = [0.1, 0.9, 0.9];
    const context: LadderContext = {
      ...toy.context(),
      gateMetric: async () => ({
        metric: { name: 'loss', value: looks.shift()!, rows: 4, standardError: 0.1 },
        outcomes: { values: [1, 1, 1, 1], tokens: [1, 1, 1, 1] },
      }),
    };
    const { candidates } = await runStrategy('auto', context, until(1e-9, { steps: 5 }));
    expect(ids(candidates)).toEqual(['revert', 'search', 'fine_tune@5']);
    expect([candidates[2]!.alpha, candidates[2]!.beta]).toEqual([candidates[1]!.alpha, candidates[1]!.beta]);
  });

  it('reports every rung: passed, failed, skipped and not run, with its time', async () => {
    let clock = 0;
    const toy = new ToyAdaptation({ ...NOVEL, change: 1 });
    const context = { ...toy.context(), now: () => (clock += 1) };
    const { rungs } = await runStrategy('auto', context, until(0.1));
    expect(rungs.map(({ rung, result }) => [rung, result])).toEqual([
      ['revert', 'skipped'],
      ['search', 'failed'],
      ['copy', 'skipped'],
      ['fine_tune', 'passed'],
      ['scratch', 'not_run'],
    ]);
    expect(rungs.at(-1)!.reason).toBe('fine_tune passed');
    expect(rungs[1]!.candidate).toMatchObject({ id: 'search', verdict: 'failed', failed: ['value'], needed: 0.1 });
    expect(rungs.map(({ ms }) => ms > 0)).toEqual([true, true, false, true, false]);
  });

  it('is not passed by what flips too many rows', async () => {
    const toy = new ToyAdaptation();
    const gate = { metric: 'accuracy', kind: 'absolute', target: 0.5, max_negative_flips: 0.1 } as const;
    const measured = (values: number[]) => ({
      metric: { name: 'accuracy' as const, value: 0.5, rows: 4, standardError: 0.25 },
      outcomes: { values, tokens: [1, 1, 1, 1] },
    });
    const answers = [measured([0, 1, 0, 1]), measured([1, 1, 0, 0])];
    const context = { ...toy.context(), canTrain: false, gateMetric: async () => answers.shift()! };
    const outcome = await runStrategy('auto', context, until(0, { gate, old: measured([1, 1, 0, 0]) }));
    expect(outcome.ready).toBe(true);
    expect(outcome.best!.id).toBe('copy');
    expect(outcome.candidates.map(({ negativeFlips, verdict }) => [negativeFlips, verdict])).toEqual([
      [0.25, 'failed'],
      [0, 'passed'],
    ]);
  });
});
