import { describe, expect, it } from 'vitest';
import { matmul, transposedMatmul } from '../../../core/linalg/matmul.ts';
import { columns, identity, matrix, scaleColumns, transpose, zeros, type Matrix } from '../../../core/linalg/matrix.ts';
import { qr } from '../../../core/linalg/qr.ts';
import { leadingEigenvectors } from '../../../core/linalg/svd/symmetric-eigen.ts';
import { maxDifference, orthonormalityError, randomMatrix } from '../method/support/matrices.ts';

/** A symmetric matrix with these eigenvalues. */
function withEigenvalues(values: readonly number[]): Matrix {
  const { q } = qr(randomMatrix(values.length, values.length, 1));
  return matmul(scaleColumns(q, values), transpose(q));
}

/** The eigenvectors of a copy, since the argument is overwritten. */
const solve = (a: Matrix, count: number) => leadingEigenvectors({ ...a, data: a.data.slice() }, count);

describe('leadingEigenvectors', () => {
  it('solves a matrix worked by hand', () => {
    // [[2, 1], [1, 2]] has the eigenvalues 3, of (1, 1), and 1, of (1, −1).
    const { values, vectors } = solve(matrix(2, 2, [2, 1, 1, 2]), 2);
    expect(values[0]).toBeCloseTo(3, 14);
    expect(values[1]).toBeCloseTo(1, 14);
    expect(vectors.data[0]! * vectors.data[2]!).toBeCloseTo(0.5, 14);
    expect(vectors.data[1]! * vectors.data[3]!).toBeCloseTo(-0.5, 14);
  });

  it.each([
    ['of both signs', Array.from({ length: 40 }, (_, i) => Math.cos(i))],
    ['that decay', Array.from({ length: 40 }, (_, i) => 0.5 ** i)],
    ['that repeat', Array.from({ length: 30 }, (_, i) => Math.floor(i / 7))],
    ['that nearly repeat', Array.from({ length: 30 }, (_, i) => 1 + 1e-13 * i)],
    ['of which most are zero', [2, 1, ...new Array<number>(20).fill(0)]],
  ])('finds all eigenvalues and the leading vectors for eigenvalues %s', (_, eigenvalues) => {
    const a = withEigenvalues(eigenvalues);
    const sorted = eigenvalues.toSorted((x, y) => y - x);
    for (const count of [0, 1, 6, eigenvalues.length]) {
      const { values, vectors } = solve(a, count);
      expect(maxDifference(matrix(1, values.length, values), matrix(1, sorted.length, sorted))).toBeLessThan(1e-13);
      expect([vectors.rows, vectors.cols]).toEqual([eigenvalues.length, count]);
      expect(orthonormalityError(vectors)).toBeLessThan(1e-13);
      const images = scaleColumns(vectors, values.subarray(0, count));
      expect(maxDifference(matmul(a, vectors), images)).toBeLessThan(1e-13);
    }
  });

  it.each([
    ['zeros', zeros(5, 5)],
    ['the identity', identity(6)],
    ['a diagonal matrix', matrix(3, 3, [1, 0, 0, 0, 3, 0, 0, 0, 2])],
    ['blocks', matrix(4, 4, [1, 2, 0, 0, 2, 1, 0, 0, 0, 0, 5, 1, 0, 0, 1, 5])],
    ['one entry', matrix(1, 1, [-3])],
  ])('takes %s', (_, a) => {
    const { values, vectors } = solve(a, a.rows);
    expect(orthonormalityError(vectors)).toBeLessThan(1e-14);
    expect(maxDifference(matmul(a, vectors), scaleColumns(vectors, values))).toBeLessThan(1e-14);
    expect([...values]).toEqual([...values].sort((x, y) => y - x));
  });

  it('reads only the upper triangle', () => {
    const a = transposedMatmul(randomMatrix(9, 9, 2), randomMatrix(9, 9, 2));
    const upper = { ...a, data: a.data.map((value, at) => (at % 9 < Math.floor(at / 9) ? NaN : value)) };
    expect(leadingEigenvectors(upper, 4)).toEqual(solve(a, 4));
  });

  it('gives the leading columns of all vectors', () => {
    const a = withEigenvalues([5, 4, 3, 2, 1]);
    expect(maxDifference(solve(a, 2).vectors, columns(solve(a, 5).vectors, 0, 2))).toBe(0);
  });

  it('refuses a matrix that is not square', () => {
    expect(() => leadingEigenvectors(zeros(2, 3), 1)).toThrow('leadingEigenvectors: rows and columns differ, 2 and 3');
  });
});
