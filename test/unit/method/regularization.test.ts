import { describe, expect, it } from 'vitest';
import type { Adapter, LoraFactors } from '../../../core/models/lora/adapter.ts';
import {
  anchorOf,
  DEFAULT_REGULARIZATION,
  l2Coefficient,
  NO_REGULARIZATION,
  withL2Gradients,
  type Penalty,
  type RegularizationOptions,
} from '../../../core/method/regularization/regularization.ts';
import { productOf, randomAdapter } from './support/adapters.ts';

const SCHEDULE: RegularizationOptions = {
  schedule: 'two_stage',
  strong: 0.4,
  relaxed: 0.1,
  strongUntil: 0.25,
  relaxedFrom: 0.75,
  towards: 'initial',
};

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
    const values = Array.from({ length: 40 }, (_, step) => l2Coefficient(DEFAULT_REGULARIZATION, step, 40));
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(l2Coefficient(NO_REGULARIZATION, 3, 40)).toBe(0);
  });

  it.each([
    // Half a cosine at a quarter of the way: (1 + cos 45°) / 2.
    ['cosine', 0.1 + 0.3 * 0.5 * (1 + Math.SQRT1_2)],
    ['linear', 0.325],
    ['none', 0],
  ] as const)('%s goes over the whole run: %f after a quarter of it', (schedule, expected) => {
    const options = { ...SCHEDULE, schedule };
    expect(l2Coefficient(options, 25, 100)).toBeCloseTo(expected, 12);
    expect(l2Coefficient(options, 0, 100)).toBe(schedule === 'none' ? 0 : 0.4);
    expect(l2Coefficient(options, 100, 100)).toBe(schedule === 'none' ? 0 : 0.1);
  });

  it('refuses options that contradict each other', () => {
    expect(() => l2Coefficient({ ...SCHEDULE, strongUntil: 0.8 }, 0, 10)).toThrow('strongUntil ≤ relaxedFrom');
    expect(() => l2Coefficient({ ...SCHEDULE, strong: -1 }, 0, 10)).toThrow(RangeError);
  });
});

/** Penalty by its definition, towards the fused update from dense products. */
function penaltyOf({ modules }: Adapter, { lambda, towards, anchor }: Penalty): number {
  const factors = modules.get('m')!;
  const origin = anchor?.modules.get('m');
  const arrays = (of: LoraFactors) => (towards === 'fused' ? [productOf(of).data] : [of.a, of.b]);
  const pairs = arrays(factors).map((values, i) => [values, origin && arrays(origin)[i]!] as const);
  if (factors.magnitude && origin?.magnitude) pairs.push([factors.magnitude, origin.magnitude]);
  let squares = 0;
  for (const [values, from] of pairs) values.forEach((value, i) => (squares += (value - (from?.[i] ?? 0)) ** 2));
  return 0.5 * lambda * squares;
}

describe('withL2Gradients', () => {
  const shapes = [{ name: 'm', outFeatures: 5, inFeatures: 3 }];
  const adapter = randomAdapter(shapes, 2, 4, 1);
  const initial = randomAdapter(shapes, 2, 4, 2);
  const towardsZero = (lambda = 0.3): Penalty => ({ lambda, towards: 'zero', anchor: null });
  const towardsInitial = (anchor: Adapter, lambda = 0.3): Penalty => ({ lambda, towards: 'initial', anchor });
  const towardsFused = (anchor: Adapter, lambda = 0.3): Penalty => ({ lambda, towards: 'fused', anchor });

  it('is worked by hand', () => {
    // One input, one output, rank 2: A = (1, 2)ᵀ, B = (3, 5), s = 2 and s B A = 26; from B₀ = (1, 1) on, 20 are left.
    const factors = {
      rank: 2,
      inFeatures: 1,
      outFeatures: 1,
      scaling: 2,
      a: Float32Array.of(1, 2),
      b: Float32Array.of(3, 5),
    };
    const at = (b: Float32Array): Adapter => ({
      config: adapter.config,
      modules: new Map([['m', { ...factors, b }]]),
    });
    const [small, other] = [at(factors.b), at(Float32Array.of(1, 1))];
    const none = new Map([['m', { a: new Float32Array(2), b: new Float32Array(2) }]]);
    const gradientsOf = (penalty: Penalty) => {
      const { a, b } = withL2Gradients(none, small, penalty).get('m')!;
      return [...a, ...b];
    };
    expect(gradientsOf(towardsZero(0.5))).toEqual([0.5, 1, 1.5, 2.5]);
    expect(gradientsOf(towardsInitial(small))).toEqual([0, 0, 0, 0]);
    // λ s Bᵀ (s B A − s B₀ A) and λ (s B A − s B₀ A) s Aᵀ.
    expect(gradientsOf(towardsFused(at(Float32Array.of(0, 0)), 0.5))).toEqual([78, 130, 26, 52]);
    expect(gradientsOf(towardsFused(other, 0.5))).toEqual([60, 100, 20, 40]);
  });

  it('towards the fused update leaves other factors of the same update alone', () => {
    const factors = adapter.modules.get('m')!;
    const turned = { ...factors, a: factors.a.map((value) => 2 * value), b: factors.b.map((value) => value / 2) };
    const none = new Map([['m', { a: new Float32Array(turned.a.length), b: new Float32Array(turned.b.length) }]]);
    const at = { ...adapter, modules: new Map([['m', turned]]) };
    const moved = withL2Gradients(none, at, towardsFused(adapter)).get('m')!;
    for (const value of [...moved.a, ...moved.b]) expect(value).toBeCloseTo(0, 5);
  });

  it.each([
    ['initial', 'the default anchor', undefined],
    ['zero', 'the default anchor', undefined],
    // If there is nothing to fuse with, the initial adapter is the whole update.
    ['fused', 'the default anchor', undefined],
    ['fused', 'an anchor of a higher rank', randomAdapter(shapes, 3, 6, 3)],
  ] as const)('has the gradient that finite differences give: towards %s, %s', (towards, _which, given) => {
    const penalty = { lambda: 0.3, towards, anchor: given ?? anchorOf({ ...SCHEDULE, towards }, initial) };
    const factors = adapter.modules.get('m')!;
    const loss = { a: factors.a.map((_, i) => i / 8), b: factors.b.map(() => -1) };
    const gradients = withL2Gradients(new Map([['m', loss]]), adapter, penalty).get('m')!;
    for (const key of ['a', 'b'] as const) {
      factors[key].forEach((value, i) => {
        const at = (shift: number) => {
          const moved = { ...factors, [key]: factors[key].with(i, value + shift) };
          return penaltyOf({ ...adapter, modules: new Map([['m', moved]]) }, penalty);
        };
        // Both penalties are quadratic in one element, so that central differences are exact but for rounding.
        const numeric = (at(0.0625) - at(-0.0625)) / 0.125;
        expect(gradients[key][i]! - loss[key][i]!).toBeCloseTo(numeric, 4);
      });
    }
  });

  it('pulls magnitudes towards those of the anchor and never towards zero', () => {
    const withMagnitude = (of: Adapter, ...magnitude: number[]): Adapter => {
      const factors = { ...of.modules.get('m')!, magnitude: Float32Array.from(magnitude) };
      return { ...of, modules: new Map([['m', factors]]) };
    };
    const [now, start] = [withMagnitude(adapter, 3, 5), withMagnitude(initial, 2, 6)];
    const { a, b } = adapter.modules.get('m')!;
    const gradients = new Map([['m', { a, b, magnitude: Float32Array.of(1, 1) }]]);
    const magnitudeOf = (penalty: Penalty) => withL2Gradients(gradients, now, penalty).get('m')!.magnitude;
    expect(magnitudeOf(towardsInitial(start, 0.5))).toEqual(Float32Array.of(1.5, 0.5));
    expect(magnitudeOf(towardsFused(start, 0.5))).toEqual(Float32Array.of(1.5, 0.5));
    expect(magnitudeOf(towardsZero(0.5))).toEqual(Float32Array.of(1, 1));
  });

  it('refuses a fused update that lacks a module', () => {
    const { a, b } = adapter.modules.get('m')!;
    const penalty = towardsFused({ ...initial, modules: new Map() });
    expect(() => withL2Gradients(new Map([['m', { a, b }]]), adapter, penalty)).toThrow('has no module m');
  });

  it('leaves the gradients of the caller alone', () => {
    const { a, b } = adapter.modules.get('m')!;
    const zero = { a: new Float32Array(a.length), b: new Float32Array(b.length) };
    for (const penalty of [towardsZero(), towardsFused(initial)]) {
      withL2Gradients(new Map([['m', zero]]), adapter, penalty);
    }
    expect(zero.a.every((value) => value === 0)).toBe(true);
  });
});
