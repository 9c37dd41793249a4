import { expect, test } from 'vitest';
import { surrogateGrid, type SurrogateGrid } from '../../../../core/method/search/surrogate-grid.ts';

/** A valley with its bottom at (1, −0.75), where ln(loss / loss of the copy) is −0.17. */
const loss = (alpha: number, beta: number) => 2 * Math.exp(0.4 * (alpha - 1) ** 2 + 0.3 * (beta + 0.75) ** 2);
const POINTS = [
  ...[0, 0.5, 1, 1.5].flatMap((alpha) => [-1.25, -1, -0.5, 0, 0.5].map((beta) => [alpha, beta] as const)),
  [1, -0.75] as const,
];
const records = POINTS.map(([alpha, beta]) => ({ alpha, beta, rows: 4096, loss: loss(alpha, beta) }));

function at({ alpha, beta, ...values }: SurrogateGrid, name: 'mean' | 'deviation', [a, b]: readonly [number, number]) {
  const nearest = (list: readonly number[], value: number) =>
    list.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(list[best]! - value) ? i : best), 0);
  return values[name][nearest(alpha, a) * beta.length + nearest(beta, b)]!;
}

test('predicts ln(loss / loss of the copy) over the region, lowest where the valley is', () => {
  const grid = surrogateGrid(records)!;
  expect([grid.alpha[0], grid.alpha.at(-1), grid.beta[0], grid.beta.at(-1)]).toEqual([0, 1.5, -1.25, 0.5]);
  expect(grid.mean).toHaveLength(grid.alpha.length * grid.beta.length);
  const copy = loss(1, 0);
  const truth = (a: number, b: number) => Math.log(loss(a, b) / copy);
  const errors = grid.alpha.flatMap((a, i) =>
    grid.beta.map((b, j) => Math.abs(grid.mean[i * grid.beta.length + j]! - truth(a, b))),
  );
  expect(Math.max(...errors)).toBeLessThan(0.1);
  const lowest = grid.mean.indexOf(Math.min(...grid.mean));
  expect(grid.alpha[Math.floor(lowest / grid.beta.length)]).toBeCloseTo(1, 1);
  expect(grid.beta[lowest % grid.beta.length]).toBeCloseTo(-0.75, 1);
});

test('is less certain where nothing was measured', () => {
  const corner = records.filter(({ alpha, beta }) => alpha >= 1 && beta <= 0);
  const grid = surrogateGrid(corner)!;
  expect(at(grid, 'deviation', [0, 0.5])).toBeGreaterThan(3 * at(grid, 'deviation', [1, -0.75]));
});

test('there is none for too few points, for too many, and without the copy', () => {
  expect(surrogateGrid(records.slice(0, 2))).toBeNull();
  expect(surrogateGrid(records.filter(({ alpha, beta }) => alpha !== 1 || beta !== 0))).toBeNull();
  const many = Array.from({ length: 70 }, (_, i) => ({ alpha: i / 100, beta: 0.1, rows: 4096, loss: 1 }));
  expect(surrogateGrid([...many, ...records])).toBeNull();
});
