import { expect, it } from 'vitest';
import { ArrayParts } from '../../../core/models/array-parts.ts';

it('cuts one array into parts that do not overlap, and more where they exceed what was announced', () => {
  const parts = new ArrayParts(Int8Array, 10);
  const [first, second, third] = [parts.take(4), parts.take(6), parts.take(7)];
  first.fill(1);
  second.fill(2);
  third.fill(3);
  expect([first, second, third].map((part) => [...part])).toEqual([
    Array(4).fill(1),
    Array(6).fill(2),
    Array(7).fill(3),
  ]);
  expect(first.buffer).toBe(second.buffer);
  expect(first.buffer.byteLength).toBe(10);
});
