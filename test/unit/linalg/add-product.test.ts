import { describe, expect, it } from 'vitest';
import { matrix, transpose, zeros } from '../../../core/linalg/matrix.ts';
import { addTimesTransposed } from '../../../core/linalg/add-product.ts';
import { maxDifference, naiveProduct, randomMatrix } from '../method/support/matrices.ts';

describe('addTimesTransposed', () => {
  it.each([
    [1, 1, 1],
    [3, 7, 2],
    [4, 8, 5],
    [9, 22, 6],
  ])('agrees with the definition: %i rows, tall %i × %i', (rows, length, cols) => {
    const x = randomMatrix(rows, length, 1);
    const tall = randomMatrix(length, cols, 2);
    const c = randomMatrix(rows, cols, 3);
    const out = { ...x, data: x.data.slice() };
    addTimesTransposed(out, -2, c, tall);
    const product = naiveProduct(c, transpose(tall));
    const expected = { ...x, data: x.data.map((value, i) => value - 2 * product.data[i]!) };
    expect(maxDifference(out, expected)).toBeLessThan(1e-13);
  });

  it('reads float32 as it is', () => {
    const tall = { rows: 3, cols: 1, data: Float32Array.of(0.5, 0.25, -2) };
    const out = zeros(1, 3);
    addTimesTransposed(out, 1, matrix(1, 1, [2]), tall);
    expect([...out.data]).toEqual([1, 0.5, -4]);
  });
});
