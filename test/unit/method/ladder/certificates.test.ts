import { describe, expect, it } from 'vitest';
import type { GateMeasurement, Verdict } from '../../../../core/method/gate/readiness-gate.ts';
import type { LadderContext } from '../../../../core/method/ladder/ladder-context.ts';
import type { LadderOptions, LadderState } from '../../../../core/method/ladder/ladder-state.ts';
import { runStrategy } from '../../../../core/method/ladder/strategies.ts';
import { ids, ToyAdaptation } from '../support/toy-adaptation.ts';
import { comparable, killAtEveryCall, NOVEL, run, until } from '../support/toy-runs.ts';

const SEARCH_ROWS = 1000;

/** Rows that are right except for the first ones. */
function rows(total: number, wrong = 0): GateMeasurement {
  const values = Array.from({ length: total }, (_, i) => Number(i >= wrong));
  const metric = { name: 'accuracy', value: 1 - wrong / total, rows: total, standardError: 0.02 } as const;
  return { metric, outcomes: { values, tokens: values } };
}

const GATE = { metric: 'accuracy', kind: 'relative', margin: 0.03 } as const;

interface Scripted {
  readonly total?: number;
  /** Number of wrong gate rows at each look, in order. */
  readonly looks: readonly number[];
  /** Accuracy at each measurement on the search rows, in order. */
  readonly watched?: readonly number[];
}

/** Context whose gate rows and search rows have prescribed outcomes. */
function scripted({ total = 400, looks, watched = [] }: Scripted): { context: LadderContext; toy: ToyAdaptation } {
  const toy = new ToyAdaptation(NOVEL);
  const [answers, seen] = [[...looks], [...watched]];
  const context: LadderContext = {
    ...toy.context(),
    gateMetric: async () => rows(total, answers.shift() ?? 0),
    searchMetric: async () => rows(SEARCH_ROWS, Math.round(SEARCH_ROWS * (1 - seen.shift()!))),
  };
  return { context, toy };
}

const judged = (total = 400) => ({ gate: GATE, old: rows(total), steps: 40, evaluateEvery: 5 });

describe('a ladder of certificates', () => {
  it('counts its looks, and asks more of each after the first', async () => {
    const { context } = scripted({ looks: [20, 19, 18, 17, 16], watched: [0.9, 0.97, 0.98, 0.99, 0.995] });
    const { candidates } = await runStrategy('warm-start', context, { ...until(0), ...judged(), steps: 20 });
    expect(ids(candidates)).toEqual(['copy', 'fine_tune@5', 'fine_tune@10', 'fine_tune@15', 'fine_tune@20']);
    expect(candidates.map(({ certificate }) => certificate!.looks)).toEqual([1, 2, 3, 4, 5]);
    const distances = candidates.map(({ bound, metric }) => metric.value - bound!);
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
  });

  it('holds what it cannot certify, goes on, and publishes what it can', async () => {
    // Nine losses of 400 are within the margin of 12 but are not certified; no loss is.
    const { context } = scripted({ looks: [9, 0], watched: [0.9, 0.99] });
    const outcome = await runStrategy('warm-start', context, { ...until(0), ...judged() });
    expect(outcome.candidates.map(({ verdict }) => verdict)).toEqual(['inconclusive', 'passed']);
    expect(outcome).toMatchObject({ ready: true, best: { id: 'fine_tune@5' } });
    expect(outcome.rungs.map(({ result }) => result)).toEqual(['inconclusive', 'passed']);
  });

  it('is not ready where nothing is certified, keeps the best, and says how many rows would do', async () => {
    const { context, toy } = scripted({ looks: [9, 14], watched: [0.9, 0.5, 0.5, 0.5, 0.5] });
    const outcome = await runStrategy('warm-start', context, { ...until(0), ...judged(), steps: 20 });
    expect(outcome).toMatchObject({ ready: false, best: { id: 'copy', verdict: 'inconclusive' } });
    expect(outcome.candidates.map(({ verdict }) => verdict)).toEqual(['inconclusive', 'failed']);
    expect(outcome.warnings).toEqual([
      expect.stringMatching(/^400 gate rows do not certify accuracy .* about \d+ rows would$/),
    ]);
    expect(toy.published).toEqual([]);
  });

  it('ends at the first inconclusive candidate where the rows certify nothing', async () => {
    const { context, toy } = scripted({ total: 60, looks: [1] });
    const outcome = await runStrategy('auto', context, { ...until(0), ...judged(60) });
    expect(outcome.candidates.map(({ verdict }) => verdict)).toEqual(['inconclusive']);
    expect(outcome.ready).toBe(false);
    expect(toy.count('step')).toBe(0);
    const last = outcome.rungs.at(-1)!;
    expect(last).toMatchObject({ rung: 'scratch', result: 'not_run' });
    expect(last.reason).toMatch(/is inconclusive, and the gate rows are too few to certify any version/);
  });

  describe('of rows that do not certify more often than not', () => {
    // Seven flips of 270 rows, all of them losses, are within the margin of eight.
    const few = (looks: readonly number[], watched: readonly number[] = []) => scripted({ total: 270, looks, watched });
    const options = (leastPower: number) => ({ ...until(0), ...judged(270), leastPower });

    it('tries what is known, neither searches nor trains, and says why', async () => {
      const { context, toy } = few([7, 8]);
      const outcome = await runStrategy('auto', context, options(0.5));
      expect(ids(outcome.candidates)).toEqual(['revert', 'copy']);
      expect(outcome).toMatchObject({ ready: false, best: { id: 'revert', verdict: 'inconclusive' } });
      expect(outcome.rungs.map(({ rung, result }) => `${rung} ${result}`)).toEqual([
        'revert inconclusive',
        'search skipped',
        'copy inconclusive',
        'fine_tune skipped',
        'scratch skipped',
      ]);
      expect(outcome.rungs.at(-1)!.reason).toBe(
        'revert is inconclusive, and the gate rows are too few to certify another version ' +
          'that is as good as the old one with a probability of more than 50 %',
      );
      expect(outcome.warnings).toHaveLength(1);
      expect(toy.count('step')).toBe(0);
    });

    it('goes on where less is enough, and is certified by what it trains', async () => {
      const { context } = few([7, 0], [0.9, 0.99]);
      const outcome = await runStrategy('warm-start', context, options(0.05));
      expect(outcome).toMatchObject({ ready: true, best: { id: 'fine_tune@5' } });
      const { rungs } = await runStrategy('warm-start', few([7]).context, options(0.5));
      expect(rungs.map(({ result }) => result)).toEqual(['inconclusive', 'skipped']);
    });

    it('goes on after a failure, and ends a training at its first inconclusive adapter', async () => {
      const { context, toy } = few([20, 7], [0.5, 0.98, 0.99, 0.995]);
      const outcome = await runStrategy('warm-start', context, options(0.5));
      expect(ids(outcome.candidates)).toEqual(['copy', 'fine_tune@5']);
      expect(outcome.best).toMatchObject({ id: 'fine_tune@5', verdict: 'inconclusive' });
      expect(toy.count('step')).toBe(5);
    });

    it('decides alike when it is resumed from any of its checkpoints, without another look', async () => {
      const states: LadderState[] = [];
      const { context } = few([7, 8]);
      const keeping = { ...context, checkpoint: async (state: LadderState) => void states.push(state) };
      const whole = await runStrategy('auto', keeping, options(0.5));
      const looked = states.filter(({ candidates }) => candidates.length === 2);
      expect(looked.length).toBeGreaterThan(0);
      for (const state of looked) {
        const again = few([0, 0]).context;
        const resumed = await runStrategy('auto', { ...again, resume: { state, bestAdapter: null } }, options(0.5));
        expect(ids(resumed.candidates)).toEqual(['revert', 'copy']);
        expect(resumed.rungs.map(({ rung, result, reason }) => [rung, result, reason])).toEqual(
          whole.rungs.map(({ rung, result, reason }) => [rung, result, reason]),
        );
      }
    });
  });

  it('publishes what is inconclusive if the gate says so, marked, and something certified in its place', async () => {
    const gate = { ...GATE, on_inconclusive: 'publish' } as const;
    const { context, toy } = scripted({ looks: [9, 0], watched: [0.9, 0.99] });
    const options = { ...until(0), ...judged(), gate, refineSteps: 5 };
    const outcome = await runStrategy('warm-start', context, options);
    const published = toy.published.map(({ id, verdict, certificate }) => [id, verdict, certificate?.looks]);
    expect(published).toEqual([
      ['copy', 'inconclusive', 1],
      ['fine_tune@5', 'passed', 2],
    ]);
    expect(outcome.warnings).toHaveLength(1);
    const once = scripted({ looks: [9] });
    const { rungs } = await runStrategy('warm-start', once.context, { ...until(0), ...judged(), gate });
    expect(rungs[1]).toMatchObject({ result: 'not_run', reason: 'copy is published, though it is inconclusive' });
  });
});

describe('a watched training', () => {
  const looked = async (watched: readonly number[], wrong: readonly number[], options: Partial<LadderOptions> = {}) => {
    const { context } = scripted({ looks: wrong, watched });
    const steps = 5 * watched.length;
    const outcome = await runStrategy('scratch', context, { ...until(0), ...judged(), steps, ...options });
    return ids(outcome.candidates);
  };

  /** The old version, which has some search rows wrong. */
  const onSearch = (wrong: number) => ({ old: { ...rows(400), onSearch: rows(SEARCH_ROWS, wrong) } });

  it('asks the gate only where a pass is plausible and the search rows promise no less than at any look', async () => {
    // The target is 0.97, and the search rows are off by 0.02.
    const looks = ['scratch@15', 'scratch@25', 'scratch@30'];
    expect(await looked([0.5, 0.949, 0.955, 0.952, 0.955, 0.96], [40, 30, 30])).toEqual(looks);
  });

  it('compares search rows with those of the old version, one by one', async () => {
    const watched = [0.85, 0.88, 0.888, 0.5];
    // At the third, 12 rows are wrong that the old version has right: 400 gate rows like these are certified.
    expect(await looked(watched, [40, 40], onSearch(100))).toEqual(['scratch@15', 'scratch@20']);
    // Values far below the target are plausible if the old version is as bad on these rows, and only then.
    expect(await looked(watched, [40, 40])).toEqual(['scratch@20']);
    expect(await looked([0.95, 0.96, 0.5], [40], onSearch(0))).toEqual(['scratch@15']);
  });

  it('compares the values alone if the gate publishes what it cannot certify', async () => {
    const gate = { ...GATE, on_inconclusive: 'publish' } as const;
    expect(await looked([0.869, 0.871, 0.5], [40, 40], { gate, ...onSearch(100) })).toEqual([
      'scratch@10',
      'scratch@15',
    ]);
  });

  it('asks it at the end of a training', async () => {
    expect(await looked([0.5, 0.6, 0.55], [40])).toEqual(['scratch@15']);
    expect(await looked([0.5, 0.96, 0.955], [40, 40])).toEqual(['scratch@10', 'scratch@15']);
  });

  it('tells what the search rows say, and what training starts from first', async () => {
    const toy = new ToyAdaptation({ ...NOVEL, doubt: 0.001 });
    await run('warm-start', toy, until(0.1, { steps: 20 }));
    const watched = toy.events.flatMap((event) => (event.type === 'watched' ? [event.watched] : []));
    expect(watched.map(({ id }) => id).slice(0, 2)).toEqual(['copy', 'fine_tune@5']);
    expect(watched.at(-1)!.looked).toBe(true);
    const losses = watched.filter(({ looked }) => looked).map(({ metric }) => metric.value);
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(toy.count('gate')).toBe(losses.length);
    expect(toy.count('gate')).toBeLessThan(watched.length);
  });

  it('that is killed at any call watches and looks alike', async () => {
    const options = until(0.3, { refineSteps: 10, steps: 30 });
    const { whole, resumed } = await killAtEveryCall('warm-start', { ...NOVEL, doubt: 0.05 }, options);
    const verdicts: Verdict[] = whole.outcome.candidates.map(({ verdict }) => verdict);
    expect(verdicts).toContain('passed');
    for (const { toy, outcome } of resumed) {
      expect(comparable(outcome)).toEqual(comparable(whole.outcome));
      expect(toy.count('watch')).toBeLessThanOrEqual(whole.toy.count('watch') + 1);
      expect(toy.count('gate')).toBeLessThanOrEqual(whole.toy.count('gate') + 1);
    }
  });
});
