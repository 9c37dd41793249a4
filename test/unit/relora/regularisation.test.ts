import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../../workers/models/adapter.ts';
import {
  anchorOf,
  DEFAULT_REGULARISATION,
  l2Coefficient,
  l2Penalty,
  NO_REGULARISATION,
  withL2Gradients,
  type RegularisationOptions,
} from '../../../workers/relora/regularisation.ts';
import { randomAdapter } from './support/adapters.ts';

const SCHEDULE: RegularisationOptions = { strong: 0.4, relaxed: 0.1, strongUntil: 0.25, relaxedFrom: 0.75, target: 'initial' };

describe('l2Coefficient', () => {
  it.each([
    [0, 0.4],
    [24, 0.4],
    [25, 0.4],
    // Half of the cosine: a third of the way is cos 60° = 0.5, hence 0.1 + 0.3 · 0.75.
    [25 + 50 / 3, 0.325],
    [50, 0.25],
    [75, 0.1],
    [99, 0.1],
  ])('at step %f of 100 is %f', (step, expected) => {
    expect(l2Coefficient(SCHEDULE, step, 100)).toBeCloseTo(expected, 12);
  });

  it('jumps where there is no time in between, and never grows', () => {
    const jump = { ...SCHEDULE, strongUntil: 0.5, relaxedFrom: 0.5 };
    expect([l2Coefficient(jump, 49, 100), l2Coefficient(jump, 50, 100)]).toEqual([0.4, 0.1]);
    const values = Array.from({ length: 40 }, (_, step) => l2Coefficient(DEFAULT_REGULARISATION, step, 40));
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(l2Coefficient(NO_REGULARISATION, 3, 40)).toBe(0);
  });

  it('refuses options that contradict each other', () => {
    expect(() => l2Coefficient({ ...SCHEDULE, strongUntil: 0.8 }, 0, 10)).toThrow('strongUntil ≤ relaxedFrom');
    expect(() => l2Coefficient({ ...SCHEDULE, strong: -1 }, 0, 10)).toThrow(RangeError);
  });
});

describe('l2Penalty', () => {
  const shapes = [{ name: 'm', outFeatures: 5, inFeatures: 3 }];
  const adapter = randomAdapter(shapes, 2, 4, 1);
  const initial = randomAdapter(shapes, 2, 4, 2);

  it('is worked by hand', () => {
    const factors = { ...adapter.modules.get('m')!, a: Float32Array.of(1, 2), b: Float32Array.of(3) };
    const small: Adapter = { config: adapter.config, modules: new Map([['m', factors]]) };
    expect(l2Penalty(small, null, 0.5)).toBeCloseTo(0.25 * (1 + 4 + 9), 12);
    expect(l2Penalty(small, small, 0.5)).toBe(0);
  });

  it.each(['initial', 'zero'] as const)('has the gradient that finite differences give, towards %s', (target) => {
    const anchor = anchorOf({ ...SCHEDULE, target }, initial);
    const factors = adapter.modules.get('m')!;
    const loss = { a: factors.a.map((_, i) => i / 8), b: factors.b.map(() => -1) };
    const gradients = withL2Gradients(new Map([['m', loss]]), adapter, anchor, 0.3).get('m')!;
    for (const key of ['a', 'b'] as const) {
      factors[key].forEach((value, i) => {
        const at = (shift: number) => {
          const moved = { ...factors, [key]: factors[key].with(i, value + shift) };
          return l2Penalty({ ...adapter, modules: new Map([['m', moved]]) }, anchor, 0.3);
        };
        const numeric = (at(0.0625) - at(-0.0625)) / 0.125;
        expect(gradients[key][i]! - loss[key][i]!).toBeCloseTo(numeric, 4);
      });
    }
  });

  it('pulls magnitudes towards the initial adapter and never towards zero', () => {
    const withMagnitude = (of: Adapter, ...magnitude: number[]): Adapter => {
      const factors = { ...of.modules.get('m')!, magnitude: Float32Array.from(magnitude) };
      return { ...of, modules: new Map([['m', factors]]) };
    };
    const [now, start] = [withMagnitude(adapter, 3, 5), withMagnitude(initial, 2, 6)];
    const { a, b } = adapter.modules.get('m')!;
    const gradients = new Map([['m', { a, b, magnitude: Float32Array.of(1, 1) }]]);
    expect(withL2Gradients(gradients, now, start, 0.5).get('m')!.magnitude).toEqual(Float32Array.of(1.5, 0.5));
    expect(withL2Gradients(gradients, now, null, 0.5).get('m')!.magnitude).toEqual(Float32Array.of(1, 1));
    expect(l2Penalty(now, start, 0.5) - l2Penalty(adapter, initial, 0.5)).toBeCloseTo(0.5, 10);
    expect(l2Penalty(now, null, 0.5)).toBe(l2Penalty(adapter, null, 0.5));
  });

  it('leaves the gradients of the caller alone', () => {
    const { a, b } = adapter.modules.get('m')!;
    const zero = { a: new Float32Array(a.length), b: new Float32Array(b.length) };
    withL2Gradients(new Map([['m', zero]]), adapter, null, 1);
    expect(zero.a.every((value) => value === 0)).toBe(true);
  });
});
