import { describe, expect, it } from 'vitest';
import { compareKnown, type Known } from '../../../../core/method/search/coefficient-search.ts';
import type { SearchEvaluation, SearchOptions, SearchTask } from '../../../../core/method/search/search-task.ts';
import { COPY, isSamePoint, NOTHING, REVERT, type Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { SyntheticSearch, type Surface } from '../support/synthetic-search.ts';

const BETWEEN: Surface = { best: { alpha: 1.2, beta: -0.55 }, curvature: { alpha: 0.2, beta: 1.5 } };
const points = (history: readonly SearchEvaluation[]) => history.map(({ alpha, beta }) => `${alpha} ${beta}`);

/** Rows of one token each, whose losses follow from a formula. */
function rowsOf(
  count: number,
  lossOf: (point: Coefficients, row: number) => number,
): Pick<SearchTask, 'rowTokens' | 'rowLosses'> {
  return {
    rowTokens: new Array<number>(count).fill(1),
    rowLosses: async (adapters, rows) =>
      adapters.map((adapter) => rows.map((row) => lossOf(adapter as unknown as Coefficients, row))),
  };
}

describe('searchCoefficients', () => {
  it('starts from copy, revert and nothing, and finds what is better than all of them', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const found = await synthetic.search({ options: { stepGain: 0 } });
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

  it('keeps copy where nothing is better beyond noise', async () => {
    const synthetic = new SyntheticSearch({ best: { alpha: 1, beta: -0.03 }, spread: 0.3 });
    expect(await synthetic.search()).toMatchObject(COPY);
  });

  it('names revert within one standard error of the smallest loss, unless the smallest loss shall win', async () => {
    const found = async (revert: number, options: SearchOptions = {}) => {
      // What has no name is at 0.99 on average, with a standard error of 0.2 · √(64 / 63) / √64 = 0.0252.
      const rows = rowsOf(64, (point, row) => {
        if (isSamePoint(point, REVERT)) return revert;
        return isSamePoint(point, COPY) || isSamePoint(point, NOTHING) ? 1.5 : row % 2 === 0 ? 0.79 : 1.19;
      });
      const synthetic = new SyntheticSearch({ best: REVERT });
      return synthetic.search({ ...rows, options: { evaluations: 4, ...options } });
    };
    expect(await found(1)).toMatchObject(REVERT);
    for (const unnamed of [await found(1.05), await found(1, { oneStandardError: false })])
      expect([COPY, REVERT, NOTHING].some((named) => isSamePoint(unnamed, named))).toBe(false);
  });

  it('returns the smallest loss where no named point is near it, wherever it came in the search', async () => {
    let later = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const synthetic = new SyntheticSearch({ ...BETWEEN, curvature: { alpha: 0.05, beta: 1.5 }, seed });
      const found = await synthetic.search();
      const { history } = synthetic;
      const place = history.findIndex((one) => isSamePoint(one, found));
      expect(history[place]!.loss).toBe(Math.min(...history.map(({ loss }) => loss)));
      if (place > 3) later++;
    }
    expect(later).toBeGreaterThan(0);
  });

  it('measures every point once, on all rows in the same order', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const measured: (readonly number[])[] = [];
    const { rowLosses, ...task } = synthetic.task();
    await synthetic.search({
      ...task,
      rowLosses: (adapters, rows) => {
        measured.push(rows);
        return rowLosses(adapters, rows);
      },
    });
    expect(measured).toHaveLength(new Set(points(synthetic.history)).size);
    expect(new Set(measured[0]).size).toBe(64);
    for (const rows of measured) expect(rows).toEqual(measured[0]);
  });

  it("the paper's way returns the smallest loss of all", async () => {
    const synthetic = new SyntheticSearch({ best: { alpha: 1, beta: -0.03 }, spread: 0.3 });
    const found = await synthetic.search({ options: { oneStandardError: false } });
    const smallest = synthetic.history.reduce((best, next) => (next.loss < best.loss ? next : best));
    expect(found).toMatchObject({ alpha: smallest.alpha, beta: smallest.beta });
  });

  it('ends sooner where training would make more of the time', async () => {
    const endOf = async (stepGain: number) => {
      const synthetic = new SyntheticSearch(BETWEEN);
      const { stopped } = await synthetic.search({ options: { stepGain, evaluations: 24 } });
      return { evaluations: synthetic.history.length, stopped };
    };
    const [never, slow, fast] = [await endOf(0), await endOf(0.002), await endOf(0.2)];
    expect(never).toEqual({ evaluations: 24, stopped: 'budget' });
    expect([slow.stopped, fast.stopped]).toEqual(['not_worthwhile', 'not_worthwhile']);
    expect(fast.evaluations).toBeLessThan(slow.evaluations);
    expect(slow.evaluations).toBeLessThan(never.evaluations);
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
    const rows = rowsOf(16, (point, row) => (isSamePoint(point, COPY) ? 1 : row === 0 ? 0.99 * 16 : 0));
    const task = new SyntheticSearch({ best: REVERT, rows: 16 }).task(rows);
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

  it('takes 16 rows of more, and a search that follows only the others', async () => {
    const [compared, alone] = [new SyntheticSearch(BETWEEN), new SyntheticSearch(BETWEEN)];
    await compareKnown(compared.task());
    expect(compared.history.map(({ rows }) => rows)).toEqual([16, 16]);
    expect(await compared.search()).toEqual(await alone.search());
    expect(compared.rowsMeasured).toBe(alone.rowsMeasured);
    expect(compared.history.slice(2, 5).map(({ rows, rowLosses }) => [rows, rowLosses.length])).toEqual([
      [64, 48],
      [64, 48],
      [64, 64],
    ]);
  });
});
