import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { compareKnown, type Known } from '../../../../core/method/search/coefficient-search.ts';
import type { SearchEvaluation, SearchTask } from '../../../../core/method/search/search-task.ts';
import { COPY, isSamePoint, NOTHING, REVERT, type Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { SyntheticSearch, type Surface } from '../support/synthetic-search.ts';

const BETWEEN: Surface = { best: { alpha: 1.2, beta: -0.55 }, curvature: { alpha: 0.2, beta: 1.5 } };
const points = (history: readonly SearchEvaluation[]) => [
  ...new Set(history.map(({ alpha, beta }) => `${alpha} ${beta}`)),
];

describe('searchCoefficients', () => {
  it('starts from copy, revert and nothing, and finds what is better than all of them', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const found = await synthetic.search();
    expect(points(synthetic.history).slice(0, 3)).toEqual(['1 0', '1 -1', '0 0']);
    const known = Math.min(...[COPY, REVERT, NOTHING].map((point) => synthetic.loss(point)));
    expect(synthetic.loss(found)).toBeLessThan(0.9 * known);
    expect(synthetic.loss(found)).toBeLessThan(1.02 * synthetic.loss(BETWEEN.best));
  });

  it('names revert where revert is best, and does not tune what is flat', async () => {
    const synthetic = new SyntheticSearch({
      best: { alpha: 1.05, beta: -0.97 },
      curvature: { alpha: 0.02, beta: 0.6 },
    });
    expect(await synthetic.search()).toMatchObject(REVERT);
  });

  it('returns the smallest loss of those that cannot be told apart, not the first of them', async () => {
    let changed = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const synthetic = new SyntheticSearch({ ...BETWEEN, curvature: { alpha: 0.05, beta: 1.5 }, seed });
      const found = await synthetic.search();
      const last = new Map(synthetic.history.map((one) => [`${one.alpha} ${one.beta}`, one]));
      const own = last.get(`${found.alpha} ${found.beta}`)!;
      const deeper = [...last.values()].filter(({ rows }) => rows >= own.rows);
      expect(own.loss).toBe(Math.min(...deeper.filter(({ rows }) => rows === own.rows).map(({ loss }) => loss)));
      if ([...last.values()].findIndex((one) => one === own) > 3) changed++;
    }
    expect(changed).toBeGreaterThan(0);
  });

  it('keeps copy where nothing is confidently better', async () => {
    const synthetic = new SyntheticSearch({ best: { alpha: 1, beta: -0.03 }, spread: 0.3 });
    expect(await synthetic.search()).toMatchObject(COPY);
  });

  it('gives up a bad point after its first rows', async () => {
    const synthetic = new SyntheticSearch({ best: REVERT, curvature: { alpha: 2, beta: 2 } });
    await synthetic.search();
    const nothing = synthetic.history.filter(({ alpha, beta }) => alpha === 0 && beta === 0);
    expect(nothing.map(({ rows }) => rows)).toEqual([16]);
  });

  it('measures every point on the same first rows', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const measured = new Map<string, number[]>();
    const { rowLosses, ...task } = synthetic.task();
    await synthetic.search({
      ...task,
      rowLosses: (adapters, rows) => {
        const key = JSON.stringify(adapters);
        measured.set(key, [...(measured.get(key) ?? []), ...rows]);
        return rowLosses(adapters, rows);
      },
    });
    const longest = [...measured.values()].reduce((most, next) => (next.length > most.length ? next : most));
    expect(new Set(longest).size).toBe(longest.length);
    for (const rows of measured.values()) expect(rows).toEqual(longest.slice(0, rows.length));
  });

  it("costs fewer rows than the paper's way, and ends at least as well within noise", async () => {
    let [raced, whole] = [0, 0];
    for (const seed of [1, 2, 3, 4, 5]) {
      const [a, b] = [new SyntheticSearch({ ...BETWEEN, seed }), new SyntheticSearch({ ...BETWEEN, seed })];
      const [found, wanted] = [await a.search(), await b.search({ options: { racing: false, stepGain: 0 } })];
      expect(points(b.history)).toHaveLength(12);
      expect(b.rowsMeasured).toBe(12 * 64);
      expect(a.loss(found)).toBeLessThan(1.03 * b.loss(wanted));
      raced += a.rowsMeasured;
      whole += b.rowsMeasured;
    }
    expect(raced).toBeLessThan(0.6 * whole);
  });

  it("the paper's way returns the smallest loss of all", async () => {
    const synthetic = new SyntheticSearch({ best: { alpha: 1, beta: -0.03 }, spread: 0.3 });
    const found = await synthetic.search({ options: { racing: false } });
    const smallest = synthetic.history.reduce((best, next) => (next.loss < best.loss ? next : best));
    expect(found).toMatchObject({ alpha: smallest.alpha, beta: smallest.beta });
  });

  it('ends sooner where training would make more of the time', async () => {
    const rowsAt = async (stepGain: number) => {
      const synthetic = new SyntheticSearch(BETWEEN);
      const { stopped } = await synthetic.search({ options: { stepGain, evaluations: 24 } });
      return { rows: synthetic.rowsMeasured, stopped };
    };
    const [never, slow, fast] = [await rowsAt(0), await rowsAt(0.01), await rowsAt(0.2)];
    expect(never.stopped).toBe('budget');
    expect([slow.stopped, fast.stopped]).toEqual(['not_worthwhile', 'not_worthwhile']);
    expect(fast.rows).toBeLessThan(slow.rows);
    expect(slow.rows).toBeLessThan(never.rows);
  });

  it.each([1, 3, 6])('does with %i rows', async (rows) => {
    const synthetic = new SyntheticSearch({ ...BETWEEN, rows, spread: 0 });
    const found = await synthetic.search({ options: { evaluations: 6 } });
    // One row says nothing about others.
    if (rows === 1) expect(found).toMatchObject(COPY);
    else expect(synthetic.loss(found)).toBeLessThanOrEqual(synthetic.loss(COPY));
  });

  it('of one evaluation is copy', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    expect(await synthetic.search({ options: { evaluations: 0 } })).toMatchObject({ ...COPY, stopped: 'budget' });
    expect(synthetic.history).toHaveLength(1);
  });

  it('that is killed anywhere goes on to the same end without measuring anything twice', async () => {
    const whole = new SyntheticSearch(BETWEEN);
    const expected = await whole.search();
    const strip = (history: readonly SearchEvaluation[]) => history.map(({ ms: _, ...evaluation }) => evaluation);
    for (let killAt = 0; killAt < whole.history.length; killAt++) {
      const synthetic = new SyntheticSearch(BETWEEN);
      let calls = 0;
      synthetic.before = () => {
        if (calls++ === killAt) throw new Error('killed');
      };
      await expect(synthetic.search()).rejects.toThrow('killed');
      const kept = JSON.parse(JSON.stringify(synthetic.history)) as SearchEvaluation[];
      expect(await synthetic.search({ history: kept })).toEqual(expected);
      expect(strip(synthetic.history)).toEqual(strip(whole.history));
      expect(synthetic.rowsMeasured).toBe(whole.rowsMeasured);
    }
  });

  it('stops when it is aborted', async () => {
    const controller = new AbortController();
    const synthetic = new SyntheticSearch(BETWEEN);
    synthetic.before = () => controller.abort(new Error('cancelled by tenant'));
    await expect(synthetic.search({ signal: controller.signal })).rejects.toThrow('cancelled by tenant');
    expect(synthetic.history).toHaveLength(1);
  });

  it('refuses a loss that is no number', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    await expect(synthetic.search({ rowLosses: async (_, rows) => [rows.map(() => NaN)] })).rejects.toThrow(
      'loss at alpha 1, beta 0 is NaN',
    );
  });
});

describe('compareKnown', () => {
  it.each<[Known, Coefficients]>([
    ['copy', COPY],
    ['revert', REVERT],
  ])('finds %s clearly better where the loss is smallest', async (name, best) => {
    expect(await compareKnown(new SyntheticSearch({ best, rows: 16 }).task())).toBe(name);
  });

  it('finds neither where all rows but one favor revert, and that one is so bad that nothing can be told', async () => {
    const lossOf = (point: Coefficients, row: number): number => {
      if (isSamePoint(point, COPY)) return 1;
      return row === 0 ? 0.99 * 16 : 0;
    };
    const task = new SyntheticSearch({ best: REVERT, rows: 16 }).task({
      rowTokens: new Array<number>(16).fill(1),
      rowLosses: async (adapters: readonly Adapter[], rows: readonly number[]) =>
        adapters.map((adapter) => rows.map((row) => lossOf(adapter as unknown as Coefficients, row))),
    });
    expect(await compareKnown(task)).toBeNull();
  });

  it('measures both in one pass over the rows, and of a resumed run only the one that is not recorded', async () => {
    const synthetic = new SyntheticSearch({ best: REVERT, rows: 16 });
    const passes: Coefficients[][] = [];
    const compare = (): Promise<Known | null> => {
      const { rowLosses, ...task } = synthetic.task();
      const spied: SearchTask['rowLosses'] = (adapters, rows) => {
        passes.push(adapters as unknown as Coefficients[]);
        return rowLosses(adapters, rows);
      };
      return compareKnown({ ...task, rowLosses: spied });
    };
    const measured = () => synthetic.history.map(({ alpha, beta, loss }) => ({ alpha, beta, loss }));
    const whole = await compare();
    const expected = measured();
    expect(expected).toMatchObject([COPY, REVERT]);
    expect(passes).toEqual([[COPY, REVERT]]);
    synthetic.history.length = 1;
    expect(await compare()).toBe(whole);
    expect(passes.slice(1)).toEqual([[REVERT]]);
    expect(measured()).toEqual(expected);
  });
});
