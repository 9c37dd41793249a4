import { expect, test } from 'vitest';
import { Utilization } from '../../../workers/registration/utilization.ts';

const MINUTE = 60_000;

test('a worker is busy while it works, also before its job has ended', () => {
  const busy = new Utilization(0);
  expect(busy.share(0)).toBeNull();
  expect(busy.share(1000)).toBe(0);
  busy.begin(1000);
  expect(busy.share(2000)).toBe(0.5);
  busy.end(3000);
  expect(busy.share(4000)).toBe(0.5);
});

test('work of more than five minutes ago does not count, nor does the part of a job that was so long ago', () => {
  const busy = new Utilization(0);
  busy.begin(0);
  busy.end(MINUTE);
  busy.begin(2 * MINUTE);
  busy.end(4 * MINUTE);
  expect(busy.share(5 * MINUTE)).toBeCloseTo(3 / 5, 10);
  expect(busy.share(8 * MINUTE)).toBeCloseTo(1 / 5, 10);
  busy.begin(8 * MINUTE);
  expect(busy.share(20 * MINUTE)).toBe(1);
});
