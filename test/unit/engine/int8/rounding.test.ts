import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Int8Matrix } from '../../../../core/engine/int8/rounding/int8-matrix.ts';
import { SHIFTED, SIGNED } from '../../../../core/engine/int8/weight-integers.ts';
import { Rounding } from '../../../../core/engine/int8/rounding/rounding.ts';
import type { Tensor } from '../../../../core/models/base-model.ts';
import { randomSource } from '../support/numeric.ts';

let rounding: Rounding;
beforeAll(async () => void (rounding = await Rounding.create({ threads: 2, form: SIGNED })));
afterAll(() => rounding.release());

const ones = (length: number) => new Float32Array(length).fill(1);
const backward = async (tensor: Tensor): Promise<Int8Matrix> =>
  (await rounding.round(tensor, ones(tensor.shape[1]!))).backward;

describe('the form for gradients', () => {
  it('has 127 levels of the largest number of each column', async () => {
    const { integers, scales } = await backward({ shape: [2, 3], data: Float32Array.of(1.27, -2, 0, -0.5, 1, 0) });
    expect([...integers]).toEqual([127, -127, 0, -50, 64, 0]);
    expect([...scales]).toEqual([expect.closeTo(0.01), expect.closeTo(2 / 127), 0]);
  });

  it('leaves an error of half a level at most', async () => {
    const [rows, columns] = [37, 53];
    const random = randomSource(5);
    const data = Float32Array.from({ length: rows * columns }, () => 100 ** random() * (random() - 0.5));
    const { integers, scales } = await backward({ shape: [rows, columns], data });
    const errors = data.map((value, i) => Math.abs(value / scales[i % columns]! - integers[i]!));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5001);
  });
});

describe('the form for activations', () => {
  it('is that of the transposed matrix times the factors, for matrices of any shape', async () => {
    for (const [rows, columns] of [
      [150, 70],
      [64, 129],
      [1, 5],
    ] as const) {
      const random = randomSource(6);
      const data = Float32Array.from({ length: rows * columns }, () => random() - 0.5);
      if (rows > 4) data.fill(0, 3 * columns, 4 * columns);
      // The factors are powers of two, so that products are exact and rounding is the same in both.
      const factors = Float32Array.from({ length: columns }, (_, column) => 2 ** ((column % 5) - 2));
      const transposed = Float32Array.from({ length: rows * columns }, (_, i) => {
        const [column, row] = [Math.floor(i / rows), i % rows];
        return data[row * columns + column]! * factors[column]!;
      });
      const { forward } = await rounding.round({ shape: [rows, columns], data }, factors);
      expect(forward).toEqual(await backward({ shape: [columns, rows], data: transposed }));
    }
  });

  it('has the same bits on any number of threads', async () => {
    const random = randomSource(7);
    const tensor = { shape: [300, 200], data: Float32Array.from({ length: 60_000 }, () => random() - 0.5) };
    const factors = Float32Array.from({ length: 200 }, () => 0.5 + random());
    const alone = await Rounding.create({ threads: 1, form: SIGNED });
    expect(await alone.round(tensor, factors)).toEqual(await rounding.round(tensor, factors));
    await alone.release();
  });
});

it('adds the zero point to unsigned integers, and nothing else', async () => {
  const random = randomSource(8);
  const tensor = { shape: [30, 20], data: Float32Array.from({ length: 600 }, () => random() - 0.5) };
  const shifted = await Rounding.create({ threads: 1, form: SHIFTED });
  const [found, expected] = [await shifted.round(tensor, ones(20)), await rounding.round(tensor, ones(20))];
  await shifted.release();
  for (const direction of ['forward', 'backward'] as const) {
    const { integers, scales } = expected[direction];
    expect(found[direction].scales).toEqual(scales);
    expect(found[direction].integers).toEqual(Uint8Array.from(integers, (integer) => integer + 128));
  }
});
