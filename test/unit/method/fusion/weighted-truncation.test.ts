import { describe, expect, it } from 'vitest';
import { matmul, matmulTransposed, transposedMatmul } from '../../../../core/linalg/matmul.ts';
import {
  frobeniusNorm,
  identity,
  matrix,
  scaleColumns,
  transpose,
  type Matrix,
} from '../../../../core/linalg/matrix.ts';
import { plainProducts } from '../../../../core/linalg/products.ts';
import { svd } from '../../../../core/linalg/svd/svd.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { truncateByMoments, truncateBySquares } from '../../../../core/method/fusion/weighted-truncation.ts';
import { stackedAdapter } from '../../../../core/method/search/gradients/coefficient-gradients.ts';
import type { LoraFactors } from '../../../../core/models/lora/adapter.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { bestApproximation, evolutionOf, productOf, randomAdapter, randomFactors } from '../support/adapters.ts';
import { maxDifference, randomMatrix, subtract } from '../support/matrices.ts';

const SHAPES = [
  { name: 'wide', outFeatures: 20, inFeatures: 48 },
  { name: 'tall', outFeatures: 40, inFeatures: 16 },
  { name: 'tiny', outFeatures: 5, inFeatures: 6 },
];
const SHAPE = { rank: 4, scaling: 2 };

/** Inputs of unlike and correlated columns, one in each row. */
function randomInputs(count: number, inFeatures: number): Matrix {
  const random = Random.fromSeed(11);
  const scales = Array.from({ length: inFeatures }, () => Math.exp(1.5 * random.normal()));
  const mixed = matmul(randomMatrix(count, inFeatures, 1), addIdentity(randomMatrix(inFeatures, inFeatures, 2)));
  return scaleColumns(mixed, scales);
}

function addIdentity(a: Matrix): Matrix {
  const one = identity(a.rows);
  return { ...a, data: a.data.map((value, i) => value / Math.sqrt(a.rows) + one.data[i]!) };
}

/** Σ ‖E x‖² over the inputs, root. */
const outputError = (error: Matrix, inputs: Matrix): number => frobeniusNorm(matmulTransposed(inputs, error).data);

function momentsOf({ a, rank, inFeatures }: LoraFactors, inputs: Matrix): Float64Array {
  const projected = matmulTransposed(inputs, matrix(rank, inFeatures, a));
  return transposedMatmul(projected, projected).data;
}

function expectBalanced({ a, b, rank, inFeatures }: LoraFactors): void {
  for (let k = 0; k < rank; k++) {
    const row = frobeniusNorm(a.subarray(k * inFeatures, (k + 1) * inFeatures));
    expect(row).toBeCloseTo(frobeniusNorm(b.filter((_, i) => i % rank === k)), 4);
  }
}

describe.each(SHAPES)('truncation by the moments of the inputs: $name', (shape) => {
  const update = randomFactors(shape, 12, 0.5, Random.fromSeed(3));
  const dense = productOf(update);

  // Fewer inputs than columns have second moments of less than full rank.
  it.each([200, 10])('is the best of its rank for the outputs of %i inputs', async (count) => {
    const inputs = randomInputs(count, shape.inFeatures);
    const found = await truncateByMoments(update, momentsOf(update, inputs), SHAPE, plainProducts);
    expect(found).toMatchObject(SHAPE);
    expectBalanced(found);
    // Σ ‖(M − M_r) x‖² cannot be smaller than what an SVD of all outputs M x leaves.
    const { s } = svd(matmulTransposed(inputs, dense));
    const least = frobeniusNorm(s.slice(4));
    const error = outputError(subtract(dense, productOf(found)), inputs);
    expect(error).toBeLessThan(1.0001 * least + 1e-4 * s[0]!);
    const plain = outputError(subtract(dense, bestApproximation(dense, 4)), inputs);
    expect(error).toBeLessThan(0.9 * plain);
  });

  it('by their squares is the best where columns are uncorrelated', async () => {
    const random = Random.fromSeed(11);
    const squares = Float64Array.from({ length: shape.inFeatures }, () => Math.exp(3 * random.normal()));
    const roots = squares.map(Math.sqrt);
    const found = await truncateBySquares(update, squares, SHAPE, plainProducts);
    expect(found).toMatchObject(SHAPE);
    expectBalanced(found);
    const best = bestApproximation(scaleColumns(dense, roots), 4);
    const expected = scaleColumns(
      best,
      roots.map((root) => 1 / root),
    );
    expect(maxDifference(productOf(found), expected) / frobeniusNorm(expected.data)).toBeLessThan(1e-5);
    const inputs = scaleColumns(identity(shape.inFeatures), roots);
    const byMoments = await truncateByMoments(update, momentsOf(update, inputs), SHAPE, plainProducts);
    expect(maxDifference(productOf(byMoments), expected) / frobeniusNorm(expected.data)).toBeLessThan(1e-4);
  });
});

it('is the truncation of a fusion where all inputs count the same', async () => {
  const adapter = randomAdapter(SHAPES, 4, 8, 7);
  const deltas = SHAPES.map(({ name, outFeatures, inFeatures }, i) => {
    return [name, randomMatrix(outFeatures, inFeatures, i)] as const;
  });
  const evolution = evolutionOf(new Map(deltas));
  const point = { alpha: 0.8, beta: -0.7 };
  const fused = await (await Fusion.prepare(adapter, evolution)).at(point);
  for (const [name, update] of stackedAdapter(adapter, evolution, point).modules) {
    const [shape, expected] = [adapter.modules.get(name)!, productOf(fused.modules.get(name)!)];
    const same = new Float64Array(update.inFeatures).fill(3);
    const bySquares = await truncateBySquares(update, same, shape, plainProducts);
    expect(maxDifference(productOf(bySquares), expected)).toBeLessThan(2e-5);
    const moments = momentsOf(update, identity(update.inFeatures));
    const byMoments = await truncateByMoments(update, moments, shape, plainProducts);
    expect(maxDifference(productOf(byMoments), expected)).toBeLessThan(2e-5);
  }
});

it('keeps an update of a lower rank as it is, also where a column is always zero', async () => {
  const update = randomFactors(SHAPES[0]!, 2, 1, Random.fromSeed(3));
  const squares = new Float64Array(48).fill(1).fill(0, 10, 20);
  const bySquares = await truncateBySquares(update, squares, SHAPE, plainProducts);
  expect(maxDifference(productOf(bySquares), productOf(update))).toBeLessThan(1e-4);
  const inputs = scaleColumns(transpose(randomMatrix(48, 60, 1)), squares);
  const byMoments = await truncateByMoments(update, momentsOf(update, inputs), SHAPE, plainProducts);
  expect(maxDifference(productOf(byMoments), productOf(update))).toBeLessThan(1e-4);
});

describe('what cannot be used is refused', () => {
  const update = randomFactors(SHAPES[2]!, 2, 1, Random.fromSeed(3));

  it.each([
    [[1, 2], 'squares of 2 columns, expected 6'],
    [[1, 1, 1, 1, 1, -1], 'negative'],
    [[0, 0, 0, 0, 0, 0], 'zero'],
    [[1, 1, 1, 1, 1, NaN], 'not numbers'],
  ])('squares %j', async (squares, message) => {
    await expect(truncateBySquares(update, squares, SHAPE, plainProducts)).rejects.toThrow(message);
  });

  it.each([
    [[1], 'got 1 values, expected 4'],
    [[1, 0, 0, NaN], 'not finite'],
  ])('moments %j', async (moments, message) => {
    await expect(truncateByMoments(update, moments, SHAPE, plainProducts)).rejects.toThrow(message);
  });
});
