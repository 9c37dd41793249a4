import { describe, expect, it } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';

const draw = (random: Random, count: number) => Array.from({ length: count }, () => random.uint32());

describe('Random', () => {
  it('gives the sequence of the reference implementation (version 1.1)', () => {
    expect(draw(Random.fromState([1, 2, 3, 4]), 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('repeats for a seed and differs between seeds, large and negative ones too', () => {
    const seeds = [0, 1, 2, -1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
    const sequences = seeds.map((seed) => draw(Random.fromSeed(seed), 4).join());
    expect(new Set(sequences).size).toBe(seeds.length);
    expect(draw(Random.fromSeed(1), 4).join()).toBe(sequences[1]);
    expect(() => Random.fromSeed(0.5)).toThrow('seed is 0.5, expected an integer');
  });

  it('goes on from a saved state, through JSON', () => {
    const random = Random.fromSeed(7);
    random.normal();
    const copy = Random.fromState(JSON.parse(JSON.stringify(random.state())));
    expect(draw(copy, 5)).toEqual(draw(random, 5));
    expect(() => Random.fromState([0, 0, 0, 0])).toThrow('expected four 32-bit words');
  });

  it('draws uniform, normal and integer numbers with the moments that they should have', () => {
    const random = Random.fromSeed(3);
    const count = 100_000;
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const uniform = Array.from({ length: count }, () => random.uniform());
    expect(Math.min(...uniform.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(mean(uniform)).toBeCloseTo(0.5, 2);
    expect(mean(uniform.map((x) => (x - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    const normal = Array.from({ length: count }, () => random.normal());
    expect(Math.abs(mean(normal))).toBeLessThan(0.02);
    expect(Math.abs(mean(normal.map((x) => x * x)) - 1)).toBeLessThan(0.02);
    expect(Math.abs(mean(normal.map((x) => x ** 4)) - 3)).toBeLessThan(0.15);
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) counts[random.integer(3)]!++;
    for (const share of counts) expect(Math.abs(share - 10_000)).toBeLessThan(400);
    expect(() => random.integer(0)).toThrow('bound is 0');
  });

  it('shuffles into every order, about equally often', () => {
    const random = Random.fromSeed(11);
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.shuffle([1, 2, 3]).join('');
      seen.set(order, (seen.get(order) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const times of seen.values()) expect(Math.abs(times - 1000)).toBeLessThan(150);
  });
});
