import { expect, it } from 'vitest';
import { frobeniusNorm, scaleColumns, type Matrix } from '../../../../core/linalg/matrix.ts';
import { plainProducts } from '../../../../core/linalg/products.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { truncateWeighted } from '../../../../core/method/fusion/weighted-truncation.ts';
import { stackedAdapter } from '../../../../core/method/search/gradients/coefficient-gradients.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { bestApproximation, evolutionOf, productOf, randomAdapter, randomFactors } from '../support/adapters.ts';
import { maxDifference, randomMatrix, subtract } from '../support/matrices.ts';

const SHAPES = [
  { name: 'wide', outFeatures: 20, inFeatures: 48 },
  { name: 'tall', outFeatures: 40, inFeatures: 16 },
  { name: 'tiny', outFeatures: 5, inFeatures: 6 },
];
const SHAPE = { rank: 4, scaling: 2 };

/** E ‖E x‖² for inputs of uncorrelated columns with these mean squares. */
const outputError = (error: Matrix, squares: Float64Array): number =>
  frobeniusNorm(scaleColumns(error, squares.map(Math.sqrt)).data);

it.each(SHAPES)('is the best of its rank for the outputs: $name', async (shape) => {
  const random = Random.fromSeed(11);
  const update = randomFactors(shape, 12, 0.5, random);
  const squares = Float64Array.from({ length: shape.inFeatures }, () => Math.exp(3 * random.normal()));
  const found = await truncateWeighted(update, squares, SHAPE, plainProducts);
  expect(found).toMatchObject(SHAPE);
  const roots = squares.map(Math.sqrt);
  const dense = productOf(update);
  const expected = scaleColumns(
    bestApproximation(scaleColumns(dense, roots), 4),
    roots.map((root) => 1 / root),
  );
  expect(maxDifference(productOf(found), expected) / frobeniusNorm(expected.data)).toBeLessThan(1e-5);
  const plain = outputError(subtract(dense, bestApproximation(dense, 4)), squares);
  expect(outputError(subtract(dense, productOf(found)), squares)).toBeLessThan(0.95 * plain);
});

it('is the truncation of a fusion where all columns count the same', async () => {
  const adapter = randomAdapter(SHAPES, 4, 8, 7);
  const deltas = SHAPES.map(({ name, outFeatures, inFeatures }, i) => {
    return [name, randomMatrix(outFeatures, inFeatures, i)] as const;
  });
  const evolution = evolutionOf(new Map(deltas));
  const point = { alpha: 0.8, beta: -0.7 };
  const fused = await (await Fusion.prepare(adapter, evolution)).at(point);
  for (const [name, update] of stackedAdapter(adapter, evolution, point).modules) {
    const same = new Float64Array(update.inFeatures).fill(3);
    const found = await truncateWeighted(update, same, adapter.modules.get(name)!, plainProducts);
    expect(maxDifference(productOf(found), productOf(fused.modules.get(name)!))).toBeLessThan(2e-5);
  }
});

it('keeps an update of a lower rank as it is, and gives up no column that is always zero', async () => {
  const update = randomFactors(SHAPES[0]!, 2, 1, Random.fromSeed(3));
  const squares = new Float64Array(48).fill(1).fill(0, 10, 20);
  const found = await truncateWeighted(update, squares, SHAPE, plainProducts);
  expect(maxDifference(productOf(found), productOf(update))).toBeLessThan(1e-4);
});

it.each([
  [[1, 2], 'squares of 2 columns, expected 6'],
  [[1, 1, 1, 1, 1, -1], 'negative'],
  [[0, 0, 0, 0, 0, 0], 'zero'],
  [[1, 1, 1, 1, 1, NaN], 'not numbers'],
])('refuses the squares %j', async (squares, message) => {
  const update = randomFactors(SHAPES[2]!, 2, 1, Random.fromSeed(3));
  await expect(truncateWeighted(update, squares, SHAPE, plainProducts)).rejects.toThrow(message);
});
