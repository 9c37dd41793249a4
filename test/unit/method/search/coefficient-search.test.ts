import { describe, expect, it } from 'vitest';
import { COPY, REVERT } from '../../../../core/method/fusion/coefficients.ts';
import type { SearchEvaluation } from '../../../../core/method/search/search-task.ts';
import { spaceFillingStart } from '../../../../core/method/search/space-filling.ts';
import { searchSpace } from '../../../../core/method/search/search-task.ts';
import { SyntheticSearch, type Surface } from '../support/synthetic-search.ts';

const BETWEEN: Surface = { best: { alpha: 1.2, beta: -0.55 }, curvature: { alpha: 0.2, beta: 1.5 } };
const points = (history: readonly SearchEvaluation[]) => history.map(({ alpha, beta }) => `${alpha} ${beta}`);
const smallest = (history: readonly SearchEvaluation[]) =>
  history.reduce((least, next) => (next.loss < least.loss ? next : least));

describe('searchCoefficients', () => {
  it('starts from copy, revert and points that fill the space, and finds what is better than all of them', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const found = await synthetic.search();
    const filling = spaceFillingStart(searchSpace(), 12, 1);
    expect(points(synthetic.history).slice(0, 6)).toEqual([
      '1 0',
      '1 -1',
      ...filling.map(({ alpha, beta }) => `${alpha} ${beta}`),
    ]);
    const started = Math.min(...[COPY, REVERT, ...filling].map((point) => synthetic.loss(point)));
    expect(synthetic.loss(found)).toBeLessThan(started);
    expect(synthetic.loss(found)).toBeLessThan(1.02 * synthetic.loss(BETWEEN.best));
  });

  it('starts without what is known where it is told to, or where revert is out of bounds', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    await synthetic.search({ options: { startsFromKnown: false } });
    for (const known of ['1 0', '1 -1']) expect(points(synthetic.history)).not.toContain(known);
    const bounded = new SyntheticSearch(BETWEEN);
    await bounded.search({ options: { betaBounds: [-0.5, 0.5] } });
    expect(points(bounded.history)[0]).toBe('1 0');
    expect(points(bounded.history)).not.toContain('1 -1');
    expect(Math.min(...bounded.history.map(({ beta }) => beta))).toBeGreaterThanOrEqual(-0.5);
  });

  it.each([
    ['copy', COPY],
    ['revert', REVERT],
  ])('is not worse than %s where that is best', async (_, best) => {
    const synthetic = new SyntheticSearch({ best, spread: 0.3 });
    expect(synthetic.loss(await synthetic.search())).toBeLessThanOrEqual(synthetic.loss(best));
  });

  it('spends its whole budget and returns the smallest loss, wherever it came in the search', async () => {
    let later = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const synthetic = new SyntheticSearch({ ...BETWEEN, seed });
      const found = await synthetic.search({ options: { evaluations: 9 } });
      const { history } = synthetic;
      expect(history).toHaveLength(9);
      const best = smallest(history);
      expect(found).toEqual({ alpha: best.alpha, beta: best.beta });
      if (history.indexOf(best) > 4) later++;
    }
    expect(later).toBeGreaterThan(0);
  });

  it.each([1, 3, 6])('does with %i rows', async (rows) => {
    const synthetic = new SyntheticSearch({ ...BETWEEN, rows, spread: 0 });
    const found = await synthetic.search({ options: { evaluations: 6 } });
    expect(synthetic.loss(found)).toBeLessThanOrEqual(synthetic.loss(COPY));
    expect(synthetic.history.every((evaluation) => evaluation.rows === rows)).toBe(true);
  });

  it('of one evaluation is copy', async () => {
    const synthetic = new SyntheticSearch(BETWEEN);
    expect(await synthetic.search({ options: { evaluations: 1 } })).toEqual(COPY);
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
      expect(synthetic.measured).toBe(whole.measured);
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
    await expect(synthetic.search({ loss: async () => NaN })).rejects.toThrow('loss at alpha 1, beta 0 is NaN');
  });
});
