import { describe, expect, it } from 'vitest';
import { normalQuantile, studentQuantile } from '../../../core/statistics/distributions.ts';

describe('studentQuantile', () => {
  // From tables of t, with the digits shown there.
  it.each([
    [0.975, 1, 12.706],
    [0.975, 2, 4.3027],
    [0.975, 3, 3.1824],
    [0.975, 4, 2.7764],
    [0.975, 5, 2.5706],
    [0.975, 12, 2.1788],
    [0.95, 1, 6.3138],
    [0.995, 2, 9.9248],
    [0.995, 6, 3.7074],
  ])("at %f with %i degrees of freedom is the tables' %f", (probability, degrees, expected) => {
    expect(studentQuantile(normalQuantile(probability), degrees) / expected).toBeCloseTo(1, 4);
  });

  it.each([
    [0.975, 13, 2.1604],
    [0.975, 15, 2.1314],
    [0.995, 15, 2.9467],
    [0.975, 63, 1.9983],
  ])(
    "at %f with %i degrees of freedom, where it is expanded, is near the tables' %f",
    (probability, degrees, expected) => {
      expect(studentQuantile(normalQuantile(probability), degrees) / expected).toBeCloseTo(1, 3);
    },
  );

  it('of few degrees goes over into the expansion without a step, also between whole numbers', () => {
    const z = normalQuantile(0.975);
    expect(studentQuantile(z, 12) / studentQuantile(z, 12.001)).toBeCloseTo(1, 3);
    // Between the tables' 3.1824 and 2.7764, and convex.
    expect(studentQuantile(z, 3.5)).toBeLessThan((3.1824 + 2.7764) / 2);
    expect(studentQuantile(z, 3.5)).toBeGreaterThan(2.7764);
  });

  it('is the same on both sides of the middle', () => {
    expect(studentQuantile(-1.5, 3)).toBe(-studentQuantile(1.5, 3));
    expect(studentQuantile(0, 3)).toBeCloseTo(0, 12);
  });
});
