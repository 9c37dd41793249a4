import { describe, expect, it } from 'vitest';
import { quantize, quantizeTransposed } from '../../../../core/engine/int8/int8-matrix.ts';
import { randomSource } from '../support/numeric.ts';

describe('quantize', () => {
  it('rounds to 127 levels of the largest number of each column, halves upwards', () => {
    const { integers, scales } = quantize({ shape: [2, 3], data: Float32Array.of(1.27, -2, 0, -0.5, 1, 0) });
    expect([...integers]).toEqual([127, -127, 0, -50, 64, 0]);
    expect([...scales]).toEqual([expect.closeTo(0.01), expect.closeTo(2 / 127), 0]);
  });

  it('leaves an error of half a level at most', () => {
    const [rows, columns] = [37, 53];
    const random = randomSource(5);
    const data = Float32Array.from({ length: rows * columns }, () => 100 ** random() * (random() - 0.5));
    const { integers, scales } = quantize({ shape: [rows, columns], data });
    const errors = data.map((value, i) => Math.abs(value / scales[i % columns]! - integers[i]!));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5001);
  });
});

describe('quantizeTransposed', () => {
  it('is quantize of the transposed matrix times the factors, for sizes that fill no block', () => {
    const [rows, columns] = [150, 70];
    const random = randomSource(6);
    const data = Float32Array.from({ length: rows * columns }, () => random() - 0.5);
    data.fill(0, 3 * columns, 4 * columns);
    // The factors are powers of two, so that products are exact and rounding is the same in both.
    const factors = Float32Array.from({ length: columns }, (_, column) => 2 ** ((column % 5) - 2));
    const transposed = Float32Array.from({ length: rows * columns }, (_, i) => {
      const [column, row] = [Math.floor(i / rows), i % rows];
      return data[row * columns + column]! * factors[column]!;
    });
    expect(quantizeTransposed({ shape: [rows, columns], data }, factors)).toEqual(
      quantize({ shape: [columns, rows], data: transposed }),
    );
  });
});
