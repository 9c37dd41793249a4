import { describe, expect, it } from 'vitest';
import { COPY, isSamePoint, REVERT, type Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { distance } from '../../../../core/method/search/bayesian-optimization/space.ts';
import { observationsOf } from '../../../../core/method/search/observations.ts';
import { spaceFillingStart } from '../../../../core/method/search/space-filling.ts';
import { searchSpace, type SearchOptions } from '../../../../core/method/search/search-task.ts';
import { SyntheticSearch, type Surface } from '../support/synthetic-search.ts';

const SPACE = searchSpace();
const BETWEEN: Surface = { best: { alpha: 1.2, beta: -0.55 }, curvature: { alpha: 0.2, beta: 1.5 } };
const FILLING: SearchOptions = { startsFromKnown: false };
const unitOf = ({ alpha, beta }: Coefficients) => SPACE.toUnit([alpha, beta]);
const distances = (points: readonly Coefficients[]) =>
  points.flatMap((one, i) => points.slice(i + 1).map((other) => distance(unitOf(one), unitOf(other))));

describe('spaceFillingStart', () => {
  it.each([
    [1, 1],
    [3, 3],
    [8, 3],
    [12, 4],
    [16, 6],
  ])('takes a third of %i evaluations, at least three: %i', (evaluations, count) => {
    expect(spaceFillingStart(SPACE, evaluations, 7)).toHaveLength(count);
  });

  it('has one point in each equal part of either range, far from each other, and follows from the seed', () => {
    const points = spaceFillingStart(SPACE, 16, 7);
    for (const axis of [0, 1])
      expect(points.map((point) => Math.floor(6 * unitOf(point)[axis]!)).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    // Six random points are nearer than this to each other in all but a few of a hundred draws.
    expect(Math.min(...distances(points))).toBeGreaterThan(0.25);
    expect(spaceFillingStart(SPACE, 16, 7)).toEqual(points);
    expect(spaceFillingStart(SPACE, 16, 8)).not.toEqual(points);
  });
});

it('observationsOf has the logarithm of a loss to the smallest, cut off at 1', () => {
  const records = [2, 1, 1.5, 100].map((loss, i) => ({ alpha: i, beta: 0, rows: 64, loss }));
  const values = observationsOf(records).map(({ value }) => value);
  expect(values).toEqual([Math.log(2), 0, Math.log(1.5), 1]);
});

describe('a search that starts from points that fill the space alone', () => {
  it.each([8, 12, 16])('measures %i points, none of them known, none near another', async (evaluations) => {
    const synthetic = new SyntheticSearch(BETWEEN);
    const found = await synthetic.search({ options: { ...FILLING, evaluations } });
    const { history } = synthetic;
    expect(history).toHaveLength(evaluations);
    for (const known of [COPY, REVERT]) expect(history.some((one) => isSamePoint(one, known))).toBe(false);
    expect(Math.min(...distances(history))).toBeGreaterThanOrEqual(0.05);
    const smallest = history.reduce((least, next) => (next.loss < least.loss ? next : least));
    expect(isSamePoint(found, smallest)).toBe(true);
  });

  it('comes as near to the best point as the evaluations allow', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const synthetic = new SyntheticSearch({ ...BETWEEN, seed });
      const found = await synthetic.search({ options: { ...FILLING, evaluations: 12 } });
      expect(synthetic.loss(found)).toBeLessThan(1.05 * synthetic.loss(BETWEEN.best));
    }
  });

  it('goes on where it was interrupted, with the same points', async () => {
    const [whole, killed] = [new SyntheticSearch(BETWEEN), new SyntheticSearch(BETWEEN)];
    const options = { ...FILLING, evaluations: 8 };
    await whole.search({ options });
    killed.before = () => {
      if (killed.history.length === 5) throw new Error('killed');
    };
    await expect(killed.search({ options })).rejects.toThrow('killed');
    killed.before = () => undefined;
    await killed.search({ options });
    expect(killed.history.map(({ alpha, beta, loss }) => [alpha, beta, loss])).toEqual(
      whole.history.map(({ alpha, beta, loss }) => [alpha, beta, loss]),
    );
  });
});
