import { describe, expect, it } from 'vitest';
import { matmul, matmulTransposed } from '../../../core/linalg/matmul.ts';
import { identity, matrix, transpose, zeros, type Matrix } from '../../../core/linalg/matrix.ts';
import { addTimesTransposed, orthonormalizeRows, timesTall } from '../../../core/linalg/row-basis.ts';
import { maxDifference, naiveProduct, randomMatrix } from '../method/support/matrices.ts';

describe('products with tall matrices where they lie', () => {
  it.each([
    [1, 1, 1],
    [3, 7, 2],
    [4, 8, 5],
    [9, 22, 6],
  ])('agree with the definition: %i rows, tall %i × %i', (rows, length, cols) => {
    const x = randomMatrix(rows, length, 1);
    const tall = randomMatrix(length, cols, 2);
    expect(maxDifference(timesTall(x, tall), naiveProduct(x, tall))).toBeLessThan(1e-13);

    const c = randomMatrix(rows, cols, 3);
    const out = { ...x, data: x.data.slice() };
    addTimesTransposed(out, -2, c, tall);
    const product = naiveProduct(c, transpose(tall));
    const expected = { ...x, data: x.data.map((value, i) => value - 2 * product.data[i]!) };
    expect(maxDifference(out, expected)).toBeLessThan(1e-13);
  });

  it('read float32 as it is', () => {
    const tall = { rows: 3, cols: 1, data: Float32Array.of(0.5, 0.25, -2) };
    expect([...timesTall(matrix(1, 3, [1, 2, 3]), tall).data]).toEqual([-5]);
  });
});

describe('orthonormal rows', () => {
  it('is Gram and Schmidt worked by hand', () => {
    // (3, 4) has length 5; (5, 0) is 3 times (0.6, 0.8) plus 4 times (0.8, −0.6).
    const { l, q } = orthonormalizeRows(matrix(2, 2, [3, 4, 5, 0]));
    expect(maxDifference(l, matrix(2, 2, [5, 0, 3, 4]))).toBeLessThan(1e-15);
    expect(maxDifference(q, matrix(2, 2, [0.6, 0.8, 0.8, -0.6]))).toBeLessThan(1e-15);
  });

  it('stay orthonormal where rows nearly coincide', () => {
    const x = randomMatrix(6, 40, 4);
    for (let j = 0; j < 40; j++) x.data[40 + j] = x.data[j]! + 1e-9 * x.data[40 + j]!;
    const { l, q } = orthonormalizeRows(x);
    expect(maxDifference(matmulTransposed(q, q), identity(6))).toBeLessThan(1e-14);
    expect(maxDifference(matmul(l, q), x)).toBeLessThan(1e-14);
  });

  it('leave rows empty that others span, and rows of zeros', () => {
    const [first, second] = [randomMatrix(1, 9, 5), randomMatrix(1, 9, 6)];
    const rows = [first.data, second.data, first.data.map((value, i) => 2 * value - second.data[i]!), zeros(1, 9).data];
    const x: Matrix = { rows: 4, cols: 9, data: Float64Array.from(rows.flatMap((row) => [...row])) };
    const { l, q } = orthonormalizeRows(x);
    expect(maxDifference(matmul(l, q), x)).toBeLessThan(1e-13);
    expect([...q.data.subarray(18)]).toEqual(new Array(18).fill(0));
    for (let i = 0; i < 4; i++) for (let j = i + 1; j < 4; j++) expect(l.data[i * 4 + j]).toBe(0);
  });
});
