import { describe, expect, it } from 'vitest';
import type { LadderOutcome } from '../../../../core/method/ladder/ladder-state.ts';
import type { Strategy } from '../../../../core/options/job-options.ts';
import { DEFAULT_REGULARIZATION } from '../../../../core/method/regularization/regularization.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ids, ToyAdaptation, type ToyOptions } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, NOVEL, run, until } from '../support/toy-runs.ts';

/** One row leaves open what is better: every rung is judged. */
const ONE_ROW: ToyOptions = { searchRows: 1 };

describe('auto', () => {
  it('stops at copy where copy passes', async () => {
    const toy = new ToyAdaptation({ change: 0.5, bestBeta: 0 });
    const outcome = await run('auto', toy, until(0.01));
    expect(toy.calls.filter((call) => call !== 'search')).toEqual(['gate', 'publish copy']);
    expect(outcome).toMatchObject({ ready: true, strategy: 'reuse', alpha: 1, beta: 0 });
    expect(outcome.published!.adapter).toBe(toy.old);
  });

  it('stops at revert where copy fails and revert passes', async () => {
    const toy = new ToyAdaptation(ONE_ROW);
    const copyLoss = toy.metric(toy.old).metric.value;
    const outcome = await run('auto', toy, until(copyLoss / 2));
    expect(toy.calls.filter((call) => call !== 'search')).toEqual(['gate', 'gate', 'publish revert']);
    expect(outcome).toMatchObject({ ready: true, strategy: 'revert', alpha: 1, beta: -1 });
    expect(ids(outcome.candidates)).toEqual(['copy', 'revert']);
  });

  it('searches where both fail, and publishes what it found', async () => {
    const toy = new ToyAdaptation({ change: 0.6, bestAlpha: 1.2, bestBeta: -0.4 });
    const outcome = await run('auto', toy, until(0.06));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'search']);
    expect(outcome).toMatchObject({ ready: true, strategy: 'relora' });
    expect(outcome.published!.id).toBe('search');
    const losses = outcome.searchHistory.map(({ loss }) => loss);
    expect(outcome.published!.searchLoss).toBe(Math.min(...losses));
    expect(outcome.searchHistory.slice(0, 3).map(({ alpha, beta }) => [alpha, beta])).toEqual([
      [1, 0],
      [1, -1],
      [0, 0],
    ]);
    expect(toy.count('step')).toBe(0);
  });

  it('fine-tunes from what is known where the search has no budget', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(0.1, { search: { evaluations: 0 } }));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'fine_tune']);
    expect(ids(outcome.candidates.filter(({ step }) => step === 0))).toEqual(['copy', 'revert']);
    expect(toy.events).toContainEqual({ type: 'skipped', rung: 'search', reason: 'its budget of evaluations is 0' });
  });

  it('fine-tunes from the best so far where nothing else passes, and stops at the first pass', async () => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run('auto', toy, until(0.1));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'search', 'fine_tune']);
    const untrained = outcome.candidates.filter(({ step }) => step === 0);
    const start = untrained.reduce((best, next) => (next.metric.value < best.metric.value ? next : best));
    expect([outcome.alpha, outcome.beta]).toEqual([start.alpha, start.beta]);
    const passed = outcome.candidates.filter((candidate) => candidate.passed);
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
    const worse = outcome.candidates.filter(({ metric }) => metric.value > target);
    expect(worse.length).toBeGreaterThan(0);
    for (const { id } of worse) expect(toy.published.map((candidate) => candidate.id)).not.toContain(id);
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

  it('warns once where the gate rows cannot tell, and goes on', async () => {
    const toy = new ToyAdaptation();
    // The old version: a tenth of the copy's loss in every row, so that differences have the spread of the rows.
    const { metric, outcomes } = toy.metric(toy.old);
    const old = {
      metric: { ...metric, value: metric.value / 10 },
      outcomes: { ...outcomes, values: Array.from(outcomes.values, (loss) => loss / 10) },
    };
    const gate = { metric: 'loss', kind: 'relative', margin: 1e-9 } as const;
    const outcome = await run('auto', toy, until(0, { gate, old, steps: 10 }));
    expect(outcome.warnings).toEqual([expect.stringMatching(/^6 gate rows resolve a difference in loss of/)]);
    expect(outcome.target.value).toBeCloseTo(metric.value / 10, 8);
  });
});

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
    // Steps so long that training diverges: the first look at the gate is the best, two more end it.
    const toy = new ToyAdaptation({ ...NOVEL, learningRate: 10 });
    const outcome = await run('auto', toy, until(1e-9, { steps: 40, patience: 2 }));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'search', 'fine_tune', 'scratch']);
    const trained = ids(outcome.candidates.filter(({ step }) => step > 0));
    const tuned = ['fine_tune@5', 'fine_tune@10', 'fine_tune@15'];
    expect(trained).toEqual([...tuned, 'scratch@5', 'scratch@10', 'scratch@15', 'scratch@20', 'scratch@25']);
    const scratch = outcome.candidates.filter(({ rung }) => rung === 'scratch');
    expect(scratch.every(({ strategy, alpha }) => strategy === 'scratch' && alpha === null)).toBe(true);
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
      ['prior', 'no other adapter of the rollout has been searched yet'],
      ['fine_tune', 'no training rows are shared'],
      ['scratch', 'no training rows are shared'],
    ]);
  });

  it('tries what the fleet has found before it searches', async () => {
    const task: ToyOptions = { change: 0.6, bestAlpha: 1, bestBeta: -0.5 };
    const { searchHistory } = await run('relora', new ToyAdaptation(task), until(1e-9, { steps: 0 }));
    const toy = new ToyAdaptation({ ...task, fleetSearches: [searchHistory] });
    const outcome = await run('auto', toy, until(0.05));
    expect(toy.rungs()).toEqual(['copy', 'revert', 'prior']);
    expect(outcome).toMatchObject({ ready: true, strategy: 'relora' });
    // Copy, revert and the fleet's best are compared on the search rows; nothing is searched.
    expect(toy.count('search')).toBe(3);
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
      ['prior', 'not_run', 'revert passed'],
      ['search', 'not_run', 'revert passed'],
      ['fine_tune', 'not_run', 'revert passed'],
      ['scratch', 'not_run', 'revert passed'],
    ]);
    expect(rungs[0]!.candidate).toMatchObject({ id: 'copy', passed: false, failed: ['value'], needed: copyLoss / 2 });
    expect(rungs.map(({ ms }) => ms > 0)).toEqual([true, true, false, false, false, false]);
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
    expect(outcome.candidates.map(({ negativeFlips, passed }) => [negativeFlips, passed])).toEqual([
      [0.25, false],
      [0, true],
    ]);
  });
});

describe('auto: what is clearly worse on the search rows', () => {
  const ROWS: ToyOptions = { searchRows: 64 };
  const reasons = ({ rungs }: LadderOutcome) => Object.fromEntries(rungs.map(({ rung, reason }) => [rung, reason]));

  it('is not judged: copy where revert is better', async () => {
    const toy = new ToyAdaptation(ROWS);
    const outcome = await run('auto', toy, until(toy.metric(toy.old).metric.value / 2));
    expect(toy.calls.filter((call) => call !== 'search')).toEqual(['gate', 'publish revert']);
    expect(ids(outcome.candidates)).toEqual(['revert']);
    expect(reasons(outcome)).toMatchObject({ copy: 'revert is clearly better on the search rows', revert: null });
    expect(outcome.rungs[0]).toMatchObject({ result: 'skipped', candidate: null });
  });

  it('is not judged: revert where copy is better', async () => {
    const toy = new ToyAdaptation({ ...ROWS, bestBeta: 0.2 });
    const outcome = await run('auto', toy, until(1e-9, { steps: 0 }));
    expect(ids(outcome.candidates)[0]).toBe('copy');
    expect(reasons(outcome).revert).toBe('copy is clearly better on the search rows');
  });

  it('is not judged: copy and revert where what the fleet has found is better', async () => {
    const task: ToyOptions = { ...ROWS, change: 0.6, bestBeta: -0.5 };
    const { searchHistory } = await run('relora', new ToyAdaptation(task), until(1e-9, { steps: 0 }));
    const toy = new ToyAdaptation({ ...task, fleetSearches: [searchHistory] });
    const outcome = await run('auto', toy, until(0.05));
    expect(ids(outcome.candidates).at(-1)).toBe('prior');
    expect(reasons(outcome).copy).toMatch(/^\(\d\.\d\d, -0\.\d\d\) is clearly better/);
  });

  it('is what the fleet has found to be: else it is not judged where anything else was', async () => {
    const task: ToyOptions = { change: 0.6, bestBeta: -0.5 };
    const { searchHistory } = await run('relora', new ToyAdaptation({ ...task, ...ROWS }), until(1e-9, { steps: 0 }));
    const toy = new ToyAdaptation({ ...task, ...ONE_ROW, fleetSearches: [searchHistory] });
    const outcome = await run('auto', toy, until(1e-9, { steps: 0 }));
    expect(ids(outcome.candidates).slice(0, 2)).toEqual(['copy', 'revert']);
    expect(reasons(outcome).prior).toMatch(/^\(\d\.\d\d, -0\.\d\d\) is not clearly better than what was tried$/);
    // Where nothing else was judged it is: see above. Without a screening of what came before it always is.
    const preferring = new ToyAdaptation({ ...task, ...ONE_ROW, fleetSearches: [searchHistory] });
    const preferred = await run('auto', preferring, until(1e-9, { steps: 0, prefer: 'new_base' }));
    expect(ids(preferred.candidates)).toContain('prior');
  });

  it('is measured once: the search goes on from there', async () => {
    const task: ToyOptions = { ...ROWS, change: 0.6, bestBeta: -0.5 };
    for (const fleetSearches of [
      [],
      [(await run('relora', new ToyAdaptation(task), until(1e-9, { steps: 0 }))).searchHistory],
    ]) {
      const toy = new ToyAdaptation({ ...task, fleetSearches });
      const { searchHistory } = await run('auto', toy, until(1e-9, { steps: 0 }));
      const measured = searchHistory.map(({ alpha, beta, rows }) => `${alpha} ${beta} ${rows}`);
      expect(new Set(measured).size).toBe(measured.length);
      expect(toy.count('search')).toBe(measured.length);
    }
  });

  it('is judged all the same where the new base is preferred: revert is not second there', async () => {
    const toy = new ToyAdaptation(ROWS);
    await run('auto', toy, until(0.01, { prefer: 'new_base' }));
    expect(toy.calls[0]).toBe('gate');
  });

  it('stays so for a run that is killed at any call', async () => {
    const { whole, resumed } = await killAtEveryCall('auto', { ...NOVEL, ...ROWS }, until(1e-9, { steps: 5 }));
    expect(ids(whole.outcome.candidates)[0]).toBe('revert');
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      expect(toy.count('search')).toBeLessThanOrEqual(whole.toy.count('search') + 1);
    }
  });
});

describe('relora-paper', () => {
  it('spends its whole budget of evaluations on all rows, from nothing known, and trains in two stages', async () => {
    const known = { alpha: 1, beta: -1, rows: 6, loss: 0.001, ms: 1, rowLosses: [] };
    const toy = new ToyAdaptation({ ...NOVEL, fleetSearches: [[{ ...known, beta: 0, loss: 1 }, known]] });
    const seen: unknown[] = [];
    const context = toy.context();
    const fineTune: typeof context.fineTune = (request) => (
      seen.push(request.regularization),
      context.fineTune(request)
    );
    const options = until(1e-9, { steps: 5, search: { evaluations: 7 } });
    const outcome = await runStrategy('relora-paper', { ...context, fineTune }, options);
    expect(toy.rungs()).toEqual(['search', 'fine_tune']);
    expect(outcome.searchHistory).toHaveLength(7);
    expect(outcome.searchHistory.every(({ rowLosses }) => rowLosses.length === 6)).toBe(true);
    const flat = await run('relora-paper', new ToyAdaptation(NOVEL), options);
    const points = (found: LadderOutcome) => found.searchHistory.map(({ alpha, beta }) => [alpha, beta]);
    expect(points(outcome)).toEqual(points(flat));
    expect(seen).toEqual([DEFAULT_REGULARIZATION]);
    expect(outcome.best!.strategy).toBe('relora');
  });
});

describe('the strategies', () => {
  it.each<[Strategy, string[], string[]]>([
    ['reuse', ['copy'], ['copy']],
    ['revert', ['revert'], ['revert']],
    ['relora', ['search', 'fine_tune'], ['search', 'fine_tune@5', 'fine_tune@10']],
    ['warm-start', ['copy', 'fine_tune'], ['copy', 'fine_tune@5', 'fine_tune@10']],
    ['scratch', ['scratch'], ['scratch@5', 'scratch@10']],
  ])('%s tries %j', async (strategy, rungs, candidates) => {
    const toy = new ToyAdaptation(NOVEL);
    const outcome = await run(strategy, toy, until(1e-9, { steps: 10 }));
    expect(toy.rungs()).toEqual(rungs);
    expect(ids(outcome.candidates)).toEqual(candidates);
    expect(outcome.candidates.at(-1)!.strategy).toBe(strategy);
  });

  it('train from scratch without coefficients, from an adapter that does nothing', async () => {
    const outcome = await run('scratch', new ToyAdaptation(NOVEL), until(0.5, { steps: 200 }));
    expect(outcome).toMatchObject({ ready: true, strategy: 'scratch', alpha: null, beta: null });
  });

  it.each<Strategy>(['revert', 'relora', 'relora-paper'])('%s needs the evolution', async (strategy) => {
    const context = { ...new ToyAdaptation().context(), evolution: null };
    await expect(runStrategy(strategy, context, until(0.1))).rejects.toMatchObject({ code: 'evolution_required' });
  });

  it('auto does without the evolution', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await runStrategy('auto', { ...toy.context(), evolution: null }, until(1e-9, { steps: 5 }));
    expect(toy.rungs()).toEqual(['copy', 'fine_tune']);
  });

  it('hold fine-tuning back by L2 towards the initial adapter', async () => {
    const distance = async (strong: number) => {
      const toy = new ToyAdaptation(NOVEL);
      const regularization = { ...DEFAULT_REGULARIZATION, strong, relaxed: strong };
      const outcome = await run('relora', toy, until(1e-9, { steps: 20, search: { evaluations: 1 }, regularization }));
      const last = outcome.candidates.at(-1)!;
      return last.metric.value;
    };
    // Held back, the model stays nearer to where it started and learns less.
    expect(await distance(0.2)).toBeGreaterThan(2 * (await distance(0)));
  });

  it('are in the phase that they spend their time in', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('auto', toy, until(0.1));
    const spent = new Set(toy.phases.filter((entry) => !entry.startsWith('checkpoint')));
    expect([...spent].sort()).toEqual([
      'gate in evaluate',
      'publish in publish',
      'search in initialize',
      'step in fine_tune',
    ]);
  });
});

describe('an interrupted run', () => {
  it('that is killed at any call resumes to the same outcome without repeating an evaluation', async () => {
    const { whole, resumed } = await killAtEveryCall('auto', NOVEL, until(0.3, { refineSteps: 10, steps: 30 }));
    expect(resumed.length).toBeGreaterThan(30);
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      expect(toy.published.at(-1)!.id).toBe(whole.outcome.published!.id);
      // What was done but not yet kept when the process died may be done once more; everything else is not.
      expect(toy.count('gate')).toBeLessThanOrEqual(whole.toy.count('gate') + 1);
      expect(toy.count('search')).toBeLessThanOrEqual(whole.toy.count('search') + 1);
    }
  });

  it('counts its time on', async () => {
    const toy = new ToyAdaptation(NOVEL);
    let clock = 0;
    const ticking = () => ({ ...toy.context(), now: () => (clock += 1) });
    await runStrategy('auto', ticking(), until(1e-9, { steps: 5 }));
    const before = clock;
    const outcome = await runStrategy('auto', ticking(), until(1e-9, { steps: 10 }));
    expect(outcome.elapsedMs).toBeGreaterThanOrEqual(before - 2);
  });

  it('does not take over the state of another strategy', async () => {
    const toy = new ToyAdaptation(NOVEL);
    await run('reuse', toy, until(1e-9));
    await expect(run('auto', toy, until(1e-9))).rejects.toMatchObject({ code: 'invalid_state' });
  });

  it.each(['gate', 'search', 'step', 'publish fine_tune'])('that is aborted during "%s" stops there', async (call) => {
    const toy: ToyAdaptation = new ToyAdaptation({
      ...NOVEL,
      before: (made) => {
        if (made.startsWith(call)) toy.controller.abort(new Error('cancelled by tenant'));
      },
    });
    await expect(run('auto', toy, until(0.3, { refineSteps: 20 }))).rejects.toThrow('cancelled by tenant');
    expect(toy.count(call)).toBeLessThanOrEqual(1);
  });
});
