import { describe, expect, it } from 'vitest';
import { adapterReach } from '../../../../core/method/fusion/adapter-reach.ts';
import { flatEnergy, overallCapturedEnergy } from '../../../../core/method/evolution/captured-energy.ts';
import type { Matrix } from '../../../../core/linalg/matrix.ts';
import { bestApproximation, denseTarget, evolutionOf, randomAdapter } from '../support/adapters.ts';
import { frobeniusNorm, randomMatrix, subtract } from '../support/matrices.ts';

const SHAPES = [
  { name: 'model.layers.0.self_attn.q_proj', outFeatures: 20, inFeatures: 24 },
  { name: 'model.layers.0.mlp.up_proj', outFeatures: 30, inFeatures: 24 },
];
const deltas = new Map(
  SHAPES.map(({ name, outFeatures, inFeatures }, i) => [name, randomMatrix(outFeatures, inFeatures, i)]),
);
const squares = (a: Matrix): number => frobeniusNorm(a.data) ** 2;
const total = squares(deltas.get(SHAPES[0]!.name)!) + squares(deltas.get(SHAPES[1]!.name)!);

describe('adapterReach', () => {
  it('is the share of the change that the best adapter of the rank undoes beside its own update', async () => {
    const adapter = randomAdapter(SHAPES, 4, 8, 5);
    let left = 0;
    for (const [name, factors] of adapter.modules) {
      const target = denseTarget(factors, deltas.get(name)!, 1, -1);
      left += squares(subtract(target, bestApproximation(target, 4)));
    }
    const reach = await adapterReach(adapter, evolutionOf(deltas));
    expect(reach.targeted).toBe(1);
    expect(reach.undone).toBeCloseTo(1 - left / total, 6);
    expect(reach.undone).toBeGreaterThan(0.01);
  });

  it('counts modules that the adapter leaves alone as not undone', async () => {
    const { targeted, undone } = await adapterReach(randomAdapter([SHAPES[0]!], 20, 8, 5), evolutionOf(deltas));
    expect(targeted).toBeCloseTo(squares(deltas.get(SHAPES[0]!.name)!) / total, 12);
    expect(undone).toBeCloseTo(targeted, 6);
  });

  it('is whole where nothing changed', async () => {
    expect(await adapterReach(randomAdapter(SHAPES, 4, 8, 5), evolutionOf(new Map()))).toEqual({
      targeted: 1,
      undone: 1,
    });
  });
});

describe('flatEnergy', () => {
  it('is an upper bound for noise, and near to what it has', () => {
    const evolution = evolutionOf(new Map([['model.layers.0.mlp.up_proj', randomMatrix(200, 120, 6)]]));
    const bound = flatEnergy(evolution, 8);
    expect(bound).toBeCloseTo((8 * (Math.sqrt(200) + Math.sqrt(120)) ** 2) / (200 * 120), 10);
    expect(overallCapturedEnergy(evolution, 8)).toBeLessThan(bound);
    expect(overallCapturedEnergy(evolution, 8)).toBeGreaterThan(0.8 * bound);
  });
});
