import { describe, expect, it } from 'vitest';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { NOVEL, run, until } from '../support/toy-runs.ts';

/** One row leaves open what is better: every rung is judged. */
const ONE_ROW: ToyOptions = { searchRows: 1 };

const watchedIds = ({ events }: ToyAdaptation) =>
  events.flatMap((event) => (event.type === 'watched' ? [event.watched.id] : []));

describe('auto: what is kept, and what is there', () => {
  it('that prefers the new base reverts last, and undoes half of its change at most before', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(1e-9, { prefer: 'new_base', steps: 10 }));
    expect(toy.rungs()).toEqual(['copy', 'search', 'fine_tune', 'revert']);
    const tried = outcome.searchHistory.map(({ beta }) => beta);
    expect(tried.length).toBeGreaterThan(2);
    expect(Math.min(...tried)).toBeGreaterThanOrEqual(-0.5);
    // The plain task of the toy is to revert: that is what the last rung finds.
    const plain = new ToyAdaptation();
    const reverted = await run('auto', plain, until(0.1, { prefer: 'new_base', steps: 0 }));
    expect(reverted).toMatchObject({ ready: true, strategy: 'revert' });
    expect(plain.rungs().at(-1)).toBe('revert');
  });

  it('gives the rest of the budget to training from scratch where fine-tuning gets no better', async () => {
    // Steps so long that training diverges: the first evaluation is the best, two more end it.
    const toy = new ToyAdaptation({ ...NOVEL, learningRate: 10 });
    const outcome = await run('auto', toy, until(1e-9, { steps: 40, patience: 2 }));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'search', 'fine_tune', 'scratch']);
    const trained = watchedIds(toy).filter((id) => id.includes('@'));
    const tuned = ['fine_tune@5', 'fine_tune@10', 'fine_tune@15'];
    expect(trained).toEqual([...tuned, 'scratch@5', 'scratch@10', 'scratch@15', 'scratch@20', 'scratch@25']);
    // What has diverged is not worth a look at the gate.
    expect(outcome.candidates.filter(({ step }) => step > 0)).toEqual([]);
    expect(outcome.best!.step).toBe(0);
    // Without patience the first training spends it all.
    const stubborn = new ToyAdaptation({ ...NOVEL, learningRate: 10 });
    const { rungs } = await run('auto', stubborn, until(1e-9, { steps: 40 }));
    expect(rungs.at(-1)).toMatchObject({
      rung: 'scratch',
      result: 'skipped',
      reason: 'the budget of steps is used up',
    });
  });

  it('copies, reverts and searches without training rows, and says that it could not train', async () => {
    const toy = new ToyAdaptation({ ...NOVEL, canTrain: false });
    const outcome = await run('auto', toy, until(1e-9));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'search']);
    expect(toy.count('step')).toBe(0);
    const skipped = outcome.rungs.filter(({ result }) => result === 'skipped');
    expect(skipped.map(({ rung, reason }) => [rung, reason])).toEqual([
      ['fine_tune', 'no training rows are shared'],
      ['scratch', 'no training rows are shared'],
    ]);
  });

  it('reports every rung: passed, failed, skipped and not run, with its time', async () => {
    let clock = 0;
    const toy = new ToyAdaptation(ONE_ROW);
    const copyLoss = toy.metric(toy.old).metric.value;
    const context = { ...toy.context(), now: () => (clock += 1) };
    const { rungs } = await runStrategy('auto', context, until(copyLoss / 2));
    expect(rungs.map(({ rung, result, reason }) => [rung, result, reason])).toEqual([
      ['copy', 'failed', null],
      ['revert', 'passed', null],
      ['search', 'not_run', 'revert passed'],
      ['fine_tune', 'not_run', 'revert passed'],
      ['scratch', 'not_run', 'revert passed'],
    ]);
    expect(rungs[0]!.candidate).toMatchObject({
      id: 'copy',
      verdict: 'failed',
      failed: ['value'],
      needed: copyLoss / 2,
    });
    expect(rungs.map(({ ms }) => ms > 0)).toEqual([true, true, false, false, false]);
  });

  it('is not passed by what flips too many rows', async () => {
    const toy = new ToyAdaptation(ONE_ROW);
    const gate = { metric: 'accuracy', kind: 'absolute', target: 0.5, max_negative_flips: 0.1 } as const;
    const measured = (values: number[]) => ({
      metric: { name: 'accuracy' as const, value: 0.5, rows: 4, standardError: 0.25 },
      outcomes: { values, tokens: [1, 1, 1, 1] },
    });
    const answers = [measured([0, 1, 0, 1]), measured([1, 1, 0, 0])];
    const context = { ...toy.context(), gateMetric: async () => answers.shift()! };
    const outcome = await runStrategy('auto', context, until(0, { gate, old: measured([1, 1, 0, 0]) }));
    expect(outcome.ready).toBe(true);
    expect(outcome.best!.id).toBe('revert');
    expect(outcome.candidates.map(({ negativeFlips, verdict }) => [negativeFlips, verdict])).toEqual([
      [0.25, 'failed'],
      [0, 'passed'],
    ]);
  });
});
