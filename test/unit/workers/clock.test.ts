import { expect, test } from 'vitest';
import { clockProblem } from '../../../src/lib/clock.ts';

test.each([
  [0, 10, null],
  [2900, 100, null],
  [2950, 100, undefined],
  [-3050, 100, undefined],
  [140_400_000, 90_000_000, 'the clock of this machine is 39.0 h ahead of the database'],
  [-4200, 100, "the clock of this machine is 4.2 s behind the database's, expected at most 3.0 s"],
  [-600_000, 10, 'the clock of this machine is 10.0 min behind the database'],
])('a clock that is %d ms ahead, give or take %d ms: %s', (aheadMs, uncertaintyMs, expected) => {
  const found = clockProblem({ aheadMs, uncertaintyMs }, 3000);
  if (typeof expected === 'string') expect(found).toContain(expected);
  else expect(found).toBe(expected);
});
