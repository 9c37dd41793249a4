import { describe, expect, it } from 'vitest';
import { subtractRows } from '../../../../core/method/evolution/subtract-rows.ts';
import { randomMatrix } from '../support/matrices.ts';

const weights = (rows: number, cols: number, seed: number) => Float32Array.from(randomMatrix(rows, cols, seed).data);

describe('subtractRows', () => {
  it('is worked by hand', () => {
    const [delta, squares] = [new Float32Array(4), new Float64Array(6).fill(NaN)];
    subtractRows(Float32Array.of(1, 2, 0, -1), Float32Array.of(3, 2, 0.5, 1), delta, squares);
    expect([...delta]).toEqual([2, 0, 0.5, 2]);
    expect([...squares]).toEqual([5, 1, 13, 1.25, 4, 4.25]);
  });

  it.each([
    ['one value', 1, 1],
    ['rows that are no multiple of a vector', 7, 5],
    ['one vector a row, more rows than a block holds', 5000, 4],
    ['rows of which a block holds several', 31, 576],
    ['rows that fill a block', 3, 8192],
    ['rows that are longer than a block', 3, 8192 * 2 + 7],
    ['many values in one row', 1, 30_001],
  ])('agrees with the definition for %s', (_, rows, cols) => {
    const [before, after] = [weights(rows, cols, 1), weights(rows, cols, 2)];
    const [delta, squares] = [new Float32Array(rows * cols), new Float64Array(3 * rows)];
    subtractRows(before, after, delta, squares);
    expect(delta).toEqual(before.map((value, i) => after[i]! - value));
    const versions = [before, after, Array.from(before, (value, i) => after[i]! - value)];
    versions.forEach((values, version) => {
      for (let row = 0; row < rows; row++) {
        const expected = [...values.slice(row * cols, (row + 1) * cols)].reduce((sum, value) => sum + value * value, 0);
        expect(Math.abs(squares[version * rows + row]! / expected - 1)).toBeLessThan(1e-13);
      }
    });
    const alone = new Float64Array(3 * rows);
    subtractRows(before, after, null, alone);
    expect(alone).toEqual(squares);
  });

  it('squares differences before they are rounded to float32', () => {
    const [delta, squares] = [new Float32Array(1), new Float64Array(3)];
    subtractRows(Float32Array.of(-(2 ** -30)), Float32Array.of(1), delta, squares);
    expect(delta[0]).toBe(1);
    expect(squares[2]).toBe((1 + 2 ** -30) ** 2);
  });

  it('reads memory that threads share, and parts of arrays', () => {
    const shared = new Float32Array(new SharedArrayBuffer(4 * 9), 4);
    shared.set([0, 1, 2, 3, 4, 5, 6, 7]);
    const squares = new Float64Array(6);
    subtractRows(shared.subarray(2), weights(2, 3, 3), null, squares);
    expect([squares[0], squares[1]]).toEqual([4 + 9 + 16, 25 + 36 + 49]);
  });
});
