import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OnnxProducts } from '../../../core/engine/compiled/onnx-products.ts';
import { gaussianMatrices } from '../../../core/linalg/svd/gaussian.ts';
import { semidefiniteCholesky, spanningBasis, thinQr } from '../../../core/linalg/gram-factors.ts';
import { matmul, matmulTransposed, transposedMatmul } from '../../../core/linalg/matmul.ts';
import {
  concatColumns,
  identity,
  matrix,
  scaleColumns,
  toFloat64,
  transpose,
  zeros,
  type Matrix,
} from '../../../core/linalg/matrix.ts';
import { plainProducts, type MatrixProducts } from '../../../core/linalg/products.ts';
import { qr } from '../../../core/linalg/qr.ts';
import { randomizedSvd } from '../../../core/linalg/svd/randomized-svd.ts';
import { svd } from '../../../core/linalg/svd/svd.ts';
import {
  frobeniusNorm,
  maxDifference,
  naiveProduct,
  orthonormalityError,
  randomMatrix,
  subtract,
} from '../method/support/matrices.ts';

let onnx: OnnxProducts;
beforeAll(() => void (onnx = new OnnxProducts(2)));
afterAll(async () => onnx.dispose());

/** Implementations with the precision of their results. */
const IMPLEMENTATIONS: [name: string, get: () => MatrixProducts, ulp: number][] = [
  ['in JavaScript', () => plainProducts, Number.EPSILON],
  ['by ONNX Runtime', () => onnx, 2 ** -23],
];

const SHAPES: [number, number, number][] = [
  [1, 1, 1],
  [1, 300, 7],
  [300, 1, 1],
  [40, 200, 12],
  [200, 40, 12],
];

describe.each(IMPLEMENTATIONS)('products %s', (_, get, ulp) => {
  it.each(SHAPES)('agree with the definition for %i × %i with %i columns', async (rows, cols, width) => {
    const a = randomMatrix(rows, cols, 1);
    const [right, left] = [randomMatrix(cols, width, 2), randomMatrix(rows, width, 3)];
    const tolerance = 20 * ulp * Math.sqrt(Math.max(rows, cols));
    const times = toFloat64(await get().times(a, right));
    expect(maxDifference(times, naiveProduct(a, right))).toBeLessThan(tolerance);
    const transposed = toFloat64(await get().transposedTimes(a, left));
    expect(maxDifference(transposed, naiveProduct(transpose(a), left))).toBeLessThan(tolerance);
    const [beside, factor] = [randomMatrix(rows, 3, 4), randomMatrix(width, 3, 5)];
    const sum = toFloat64(await get().sumOfTimesTransposed(a, transpose(right), beside, factor));
    const expected = naiveProduct(concatColumns(a, beside), transpose(concatColumns(transpose(right), factor)));
    expect(maxDifference(sum, expected)).toBeLessThan(tolerance);
  });

  it('sum Gram matrices of float32 numbers in float64', async () => {
    const a = { rows: 500, cols: 9, data: Float32Array.from(randomMatrix(500, 9, 4).data) };
    const expected = transposedMatmul(toFloat64(a), toFloat64(a));
    expect(maxDifference(await get().gram(a), expected)).toBeLessThan(1e-12);
  });

  it('refuse shapes that do not fit', async () => {
    const multiply = async () => get().times(zeros(2, 3), zeros(2, 3));
    await expect(multiply()).rejects.toThrow('inner dimensions differ, 3 and 2');
    const transposed = async () => get().transposedTimes(zeros(2, 3), zeros(3, 3));
    await expect(transposed()).rejects.toThrow('inner dimensions differ, 2 and 3');
    const two = zeros(2, 3);
    const sum = async (...of: [Matrix, Matrix, Matrix, Matrix]) => get().sumOfTimesTransposed(...of);
    await expect(sum(two, zeros(4, 2), two, zeros(4, 3))).rejects.toThrow('inner dimensions differ, 3 and 2');
    await expect(sum(two, zeros(4, 3), two, zeros(4, 2))).rejects.toThrow('inner dimensions differ, 3 and 2');
    await expect(sum(two, zeros(4, 3), zeros(3, 3), zeros(4, 3))).rejects.toThrow('rows differ, 2 and 3');
    await expect(sum(two, zeros(4, 3), two, zeros(5, 3))).rejects.toThrow('columns differ, 4 and 5');
  });

  it('give equal bits for equal operands', async () => {
    const [a, b] = [randomMatrix(300, 200, 5), randomMatrix(200, 40, 6)];
    expect((await get().times(a, b)).data).toEqual((await get().times(a, b)).data);
  });

  it('factor a tall matrix into orthonormal Q and triangular R', async () => {
    const y = randomMatrix(400, 20, 7);
    const { q, r } = await thinQr(y, get());
    expect(orthonormalityError(toFloat64(q))).toBeLessThan(20 * ulp);
    expect(maxDifference(matmul(toFloat64(q), r), y)).toBeLessThan(100 * ulp);
    for (let i = 0; i < 20; i++) for (let j = 0; j < i; j++) expect(r.data[i * 20 + j]).toBe(0);
  });

  it('keep Q orthonormal where columns are nearly dependent', async () => {
    const directions = qr(randomMatrix(300, 10, 8)).q;
    const y = matmul(
      scaleColumns(
        directions,
        Float64Array.from({ length: 10 }, (_, i) => 10 ** (-i / 2)),
      ),
      randomMatrix(10, 10, 9),
    );
    const { q, r } = await thinQr(y, get());
    expect(orthonormalityError(toFloat64(q))).toBeLessThan(20 * ulp);
    expect(maxDifference(matmul(toFloat64(q), r), y)).toBeLessThan(100 * ulp);
  });

  it('leave columns empty that depend on earlier ones or vanish', async () => {
    const independent = randomMatrix(60, 3, 10);
    const y = concatColumns(concatColumns(independent, scaleColumns(independent, [2, 0, -1])), zeros(60, 2));
    const { q, r } = await thinQr(y, get());
    const gram = transposedMatmul(toFloat64(q), toFloat64(q));
    const expected = { ...identity(8), data: identity(8).data.map((value, i) => (i < 24 ? value : 0)) };
    expect(maxDifference(gram, expected)).toBeLessThan(20 * ulp);
    expect(maxDifference(matmul(toFloat64(q), r), y)).toBeLessThan(100 * ulp);
    const basis = await spanningBasis(y, get());
    expect([...basis.data].every(Number.isFinite)).toBe(true);
  });
});

/** A matrix with the given singular values. */
function withSpectrum(rows: number, cols: number, s: readonly number[]): Matrix {
  const [left, right] = [qr(randomMatrix(rows, s.length, 11)).q, qr(randomMatrix(cols, s.length, 12)).q];
  const a = matmulTransposed(scaleColumns(left, s), right);
  // Rounded to float32, as both implementations read it.
  return { ...a, data: Float64Array.from(a.data, Math.fround) };
}

const spectrum = (length: number, decay: (i: number) => number) => Array.from({ length }, (_, i) => decay(i));

describe.each(IMPLEMENTATIONS)('the randomized SVD with products %s', (_, get, ulp) => {
  it.each([
    [
      'wide',
      withSpectrum(
        90,
        240,
        spectrum(90, (i) => 0.9 ** i),
      ),
    ],
    [
      'tall',
      withSpectrum(
        240,
        90,
        spectrum(90, (i) => 1 / (i + 1)),
      ),
    ],
    [
      'flat',
      withSpectrum(
        100,
        100,
        spectrum(100, (i) => 1 - i / 200),
      ),
    ],
    ['of rank 3', withSpectrum(120, 200, [3, 2, 1])],
    ['of rank 3 with noise', withSpectrum(120, 200, [3, 2, 1, ...spectrum(100, () => 1e-4)])],
    ['of two scales', withSpectrum(120, 200, [...spectrum(20, () => 1), ...spectrum(60, (i) => 1e-5 * 0.9 ** i)])],
    ['of one row', withSpectrum(1, 300, [2])],
    ['of one column', withSpectrum(300, 1, [2])],
  ])('comes near to the dense SVD of a matrix %s', async (_, a) => {
    const rank = 16;
    const exact = svd(a).s;
    const { u, s, v } = await randomizedSvd(a, { rank, testMatrix: gaussianMatrices(1), products: get() });
    const kept = Math.min(rank, exact.length);
    expect([u.cols, s.length, v.cols]).toEqual([kept, kept, kept]);
    // Directions below 1e-7 of the largest singular value may be left out.
    const rounding = (30 * ulp + 1e-7) * exact[0]!;
    s.forEach((value, i) => expect(value).toBeLessThan(exact[i]! + rounding));
    const rebuilt = matmulTransposed(scaleColumns(toFloat64(u), s), toFloat64(v));
    const best = frobeniusNorm(exact.subarray(rank));
    expect(frobeniusNorm(subtract(a, rebuilt).data)).toBeLessThan(1.02 * best + rounding);
  });

  it('ignores rows and columns of zeros, and takes few rows that are not', async () => {
    const a = zeros(200, 150);
    randomMatrix(3, 150, 13).data.forEach((value, i) => (a.data[50 * 150 + i] = Math.fround(value)));
    const { u, s, v } = await randomizedSvd(a, { rank: 16, testMatrix: gaussianMatrices(2), products: get() });
    const rebuilt = matmulTransposed(scaleColumns(toFloat64(u), s), toFloat64(v));
    expect(maxDifference(rebuilt, a)).toBeLessThan(100 * ulp);
    expect(s[3]! / s[0]!).toBeLessThan(10 * ulp);
  });
});

describe('semidefiniteCholesky', () => {
  it('is worked by hand', () => {
    const l = semidefiniteCholesky(matrix(3, 3, [4, 2, 2, 2, 1, 1, 2, 1, 5]));
    expect([...l.data]).toEqual([2, 0, 0, 1, 0, 0, 1, 0, 2]);
  });
});

describe('gaussianMatrices', () => {
  it('gives equal matrices for equal seeds, with the moments of standard normal numbers', () => {
    const { data } = gaussianMatrices(3)(200, 50);
    expect(gaussianMatrices(3)(200, 50).data).toEqual(data);
    expect(gaussianMatrices(4)(200, 50).data).not.toEqual(data);
    const mean = [...data].reduce((sum, value) => sum + value, 0) / data.length;
    expect(Math.abs(mean)).toBeLessThan(0.04);
    expect(frobeniusNorm(data) ** 2 / data.length).toBeCloseTo(1, 1);
  });
});
