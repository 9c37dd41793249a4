import { describe, expect, it } from 'vitest';
import { firstNonFinite, narrowToBfloat16, narrowToHalf, widenHalf } from '../../../core/formats/safetensors/dtypes.ts';
import { widenBfloat16 } from '../../../core/formats/safetensors/widen-bfloat16.ts';
import { Random } from '../../../core/statistics/random.ts';

const ALL = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** IEEE 754 binary16 by its definition. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

describe('half precision', () => {
  it('widens every bit pattern to the value that the standard defines', () => {
    const wide = new Float32Array(65536);
    widenHalf(ALL, wide);
    const wrong = [...wide].findIndex((value, bits) => !Object.is(value, halfValue(bits)));
    expect(wrong).toBe(-1);
  });

  it('narrows every half back to itself, NaN to NaN', () => {
    const wide = new Float32Array(65536);
    widenHalf(ALL, wide);
    const back = narrowToHalf(wide);
    const wrong = [...ALL].findIndex((bits) => back[bits] !== bits && !Number.isNaN(wide[bits]!));
    expect(wrong).toBe(-1);
    expect(Number.isNaN(halfValue(narrowToHalf(Float32Array.of(NaN))[0]!))).toBe(true);
  });

  it.each([
    ['halfway between 1 and the next, tie to even', 1 + 2 ** -11, 1],
    ['halfway, tie to even upwards', 1 + 3 * 2 ** -11, 1 + 2 ** -9],
    ['just over halfway', 1 + 2 ** -11 + 2 ** -20, 1 + 2 ** -10],
    ['largest half', 65504, 65504],
    ['below the overflow threshold', 65519, 65504],
    ['at the overflow threshold', 65520, Infinity],
    ['smallest subnormal', 2 ** -24, 2 ** -24],
    ['half of the smallest subnormal, tie to zero', 2 ** -25, 0],
    ['just over half of the smallest subnormal', 2 ** -25 * 1.001, 2 ** -24],
    ['1.5 smallest subnormals, tie to even', 1.5 * 2 ** -24, 2 ** -23],
    ['subnormal that rounds up to the smallest normal', 2 ** -14 - 2 ** -26, 2 ** -14],
    ['negative', -3.14159, -3.140625],
    ['negative zero', -0, -0],
  ])('rounds %s', (_, value, expected) => {
    expect(halfValue(narrowToHalf(Float32Array.of(value))[0]!)).toBe(expected);
  });

  it('rounds random values to a nearest half', () => {
    const random = Random.fromSeed(1);
    const values = Float32Array.from({ length: 5000 }, () => random.normal() * 2 ** (random.integer(40) - 28));
    const narrow = narrowToHalf(values);
    values.forEach((value, i) => {
      const bits = narrow[i]!;
      const error = Math.abs(halfValue(bits) - value);
      if (Math.abs(value) > 65504) return;
      for (const neighbor of [bits - 1, bits + 1]) {
        const other = Math.abs(halfValue(neighbor & 0xffff) - value);
        expect(Number.isNaN(other) || other >= error).toBe(true);
      }
    });
  });
});

describe('bfloat16', () => {
  it('tells of every bit pattern whether it is finite', () => {
    const wide = new Float32Array(1);
    for (const pattern of ALL) {
      for (const widen of [widenBfloat16, widenHalf]) {
        if (widen(Uint16Array.of(pattern), wide) !== Number.isFinite(wide[0]))
          throw new Error(`${widen.name} ${pattern}`);
      }
    }
    expect(widenBfloat16(Uint16Array.of(1, 0x7f80, 2), new Float32Array(3))).toBe(false);
    expect(widenHalf(Uint16Array.of(1, 0xfc00, 2), new Float32Array(3))).toBe(false);
  });

  it('widens and narrows every bit pattern without a change', () => {
    const wide = new Float32Array(65536);
    widenBfloat16(ALL, wide);
    expect(wide[0x3f80]).toBe(1);
    expect(wide[0x0001]).toBe(2 ** -133);
    expect(wide[0xff80]).toBe(-Infinity);
    const back = narrowToBfloat16(wide);
    expect([...ALL].findIndex((bits) => back[bits] !== bits && !Number.isNaN(wide[bits]!))).toBe(-1);
  });

  it.each([
    ['tie to even, down', 1 + 2 ** -8, 0x3f80],
    ['tie to even, up', 1 + 3 * 2 ** -8, 0x3f82],
    ['over halfway', 1 + 2 ** -8 + 2 ** -20, 0x3f81],
    ['beyond the largest', 3.4e38, 0x7f80],
  ])('rounds %s', (_, value, bits) => {
    expect(narrowToBfloat16(Float32Array.of(value))[0]).toBe(bits);
  });

  it('keeps NaN whose payload lies in the lower half', () => {
    const nan = new Float32Array(Uint32Array.of(0x7f800001).buffer);
    expect((narrowToBfloat16(nan)[0]! & 0x7fff) > 0x7f80).toBe(true);
  });
});

it('finds the first value that is not finite', () => {
  expect(firstNonFinite(Float32Array.of(1, -3e38, 1e-45))).toBe(-1);
  expect(firstNonFinite(Float32Array.of(1, -Infinity, NaN))).toBe(1);
});
