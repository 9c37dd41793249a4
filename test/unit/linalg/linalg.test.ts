import { describe, expect, it } from 'vitest';
import { cholesky, solveCholesky } from '../../../core/linalg/cholesky.ts';
import { matmul, matmulTransposed, transposedMatmul } from '../../../core/linalg/matmul.ts';
import { concatColumns, identity, matrix, scaleColumns, transpose, zeros } from '../../../core/linalg/matrix.ts';
import { qr } from '../../../core/linalg/qr.ts';
import { svd, truncatedSvd, type SvdFactors } from '../../../core/linalg/svd/svd.ts';
import { maxDifference, naiveProduct, orthonormalityError, randomMatrix } from '../method/support/matrices.ts';

const rebuilt = ({ u, s, v }: SvdFactors) => matmulTransposed(scaleColumns(u, s), v);

const SHAPES: [number, number][] = [
  [1, 1],
  [5, 5],
  [40, 7],
  [7, 40],
  [64, 33],
];

describe('products', () => {
  it.each(SHAPES)('agree with the definition for %i × %i', (rows, cols) => {
    const a = randomMatrix(rows, cols, 1);
    const b = randomMatrix(cols, 6, 2);
    const expected = naiveProduct(a, b);
    expect(maxDifference(matmul(a, b), expected)).toBeLessThan(1e-13);
    expect(maxDifference(transposedMatmul(transpose(a), b), expected)).toBeLessThan(1e-13);
    expect(maxDifference(matmulTransposed(a, transpose(b)), expected)).toBeLessThan(1e-13);
  });

  it('refuse shapes that do not fit', () => {
    expect(() => matmul(zeros(2, 3), zeros(2, 3))).toThrow('matmul: inner dimensions differ, 3 and 2');
    expect(() => matrix(2, 2, [1, 2, 3])).toThrow('a matrix of 2 × 2 got 3 values, expected 4');
  });
});

describe('qr', () => {
  it.each(SHAPES)('rebuilds %i × %i from orthonormal Q and triangular R', (rows, cols) => {
    const a = randomMatrix(rows, cols, 3);
    const { q, r } = qr(a);
    expect(orthonormalityError(q)).toBeLessThan(1e-14);
    expect(maxDifference(matmul(q, r), a)).toBeLessThan(1e-13);
    for (let i = 0; i < r.rows; i++) for (let j = 0; j < i; j++) expect(r.data[i * r.cols + j]).toBe(0);
  });

  it('does not cancel where a column is nearly a multiple of the first unit vector', () => {
    const a = matrix(3, 2, [1, 2, 1e-9, 1, 0, 1]);
    const { q, r } = qr(a);
    expect(orthonormalityError(q)).toBeLessThan(1e-15);
    expect(maxDifference(matmul(q, r), a)).toBeLessThan(1e-15);
  });

  it('keeps Q orthonormal where columns repeat or vanish', () => {
    const a = randomMatrix(12, 3, 4);
    const deficient = concatColumns(concatColumns(a, a), zeros(12, 2));
    const { q, r } = qr(deficient);
    expect(orthonormalityError(q)).toBeLessThan(1e-14);
    expect(maxDifference(matmul(q, r), deficient)).toBeLessThan(1e-13);
  });
});

describe('svd', () => {
  it('finds the singular values of a matrix worked by hand', () => {
    // AᵀA = [[25, 20], [20, 25]] has the eigenvalues 45 and 5.
    const { s } = svd(matrix(2, 2, [3, 0, 4, 5]));
    expect(s[0]).toBeCloseTo(Math.sqrt(45), 13);
    expect(s[1]).toBeCloseTo(Math.sqrt(5), 13);
  });

  it.each(SHAPES)('rebuilds %i × %i from orthonormal factors', (rows, cols) => {
    const a = randomMatrix(rows, cols, 5);
    const factors = svd(a);
    expect(orthonormalityError(factors.u)).toBeLessThan(1e-13);
    expect(orthonormalityError(factors.v)).toBeLessThan(1e-13);
    expect(maxDifference(rebuilt(factors), a)).toBeLessThan(1e-12);
    expect([...factors.s]).toEqual([...factors.s].sort((x, y) => y - x));
  });

  it('resolves singular values over twelve orders of magnitude', () => {
    const expected = [1, 1e-3, 1e-6, 1e-9, 1e-12];
    const u = qr(randomMatrix(30, 5, 6)).q;
    const v = qr(randomMatrix(20, 5, 7)).q;
    const { s } = svd(matmulTransposed(scaleColumns(u, expected), v));
    expected.forEach((value, i) => expect(Math.abs(s[i]! - value)).toBeLessThan(1e-15));
    expect(s[5]).toBeLessThan(1e-15);
  });

  it('has orthonormal vectors where singular values are rounding noise', () => {
    const a = matmul(randomMatrix(12, 1, 12), randomMatrix(1, 10, 13));
    const { u, s, v } = svd(a);
    expect(s[1]! / s[0]!).toBeLessThan(1e-15);
    expect(orthonormalityError(u)).toBeLessThan(1e-13);
    expect(orthonormalityError(v)).toBeLessThan(1e-13);
  });

  it.each([
    ['a zero column', [2, 0, 1, 1, 0, 3, 0, 0, 1]],
    ['a zero at the end of the diagonal', [1, 2, 0, 0, 3, 4, 0, 0, 0]],
    ['a zero within the diagonal', [1, 2, 0, 0, 0, 4, 0, 0, 5]],
    ['zeros but one', [0, 0, 0, 0, 0, 0, 0, 0, 7]],
    ['repeated rows', [1, 2, 3, 1, 2, 3, 1, 2, 3]],
    ['tiny entries', [1e-200, 2e-200, 0, 0, 3e-200, 1e-200, 1e-200, 0, 0]],
    ['huge entries', [1e200, 2e200, 0, 0, 3e200, 1e200, 1e200, 0, 0]],
  ])('takes %s', (_, values) => {
    const a = matrix(3, 3, values);
    const factors = svd(a);
    const scale = Math.max(...values.map(Math.abs));
    expect(maxDifference(rebuilt(factors), a) / scale).toBeLessThan(1e-14);
    expect(orthonormalityError(factors.u)).toBeLessThan(1e-14);
    expect(orthonormalityError(factors.v)).toBeLessThan(1e-14);
  });

  it('takes a zero matrix and repeated singular values', () => {
    expect([...svd(zeros(4, 3)).s]).toEqual([0, 0, 0]);
    expect(maxDifference(rebuilt(svd(identity(6))), identity(6))).toBeLessThan(1e-15);
  });

  it('refuses entries that are not finite', () => {
    expect(() => svd(matrix(1, 2, [1, NaN]))).toThrow('not finite');
  });

  it('truncated, is the leading part of the whole', () => {
    const a = randomMatrix(24, 24, 8);
    const { u, s, v } = svd(a);
    const best = rebuilt({ u, v, s: s.map((value, i) => (i < 5 ? value : 0)) });
    const truncated = truncatedSvd(a, 5);
    expect(maxDifference(rebuilt(truncated), best)).toBeLessThan(1e-12);
    expect(maxDifference(matrix(24, 1, truncated.all), matrix(24, 1, s))).toBeLessThan(1e-13);
  });
});

describe('cholesky', () => {
  it('factors and solves a positive definite system', () => {
    const g = randomMatrix(9, 9, 9);
    const a = matmulTransposed(g, g);
    const l = cholesky(a)!;
    expect(maxDifference(matmulTransposed(l, l), a)).toBeLessThan(1e-12);
    const x = Float64Array.from({ length: 9 }, (_, i) => Math.sin(i));
    const solved = solveCholesky(l, matmul(a, matrix(9, 1, x)).data);
    solved.forEach((value, i) => expect(value).toBeCloseTo(x[i]!, 8));
  });

  it('is null for a matrix that is not positive definite', () => {
    expect(cholesky(matrix(2, 2, [1, 2, 2, 1]))).toBeNull();
  });
});
