import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import {
  directionSlopes,
  stackedAdapter,
  stackedDirections,
} from '../../../../core/method/search/gradients/coefficient-gradients.ts';
import { labelBatch, loadGoldenCase } from '../../engine/support/golden.ts';
import { denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { maxDifference, randomMatrix } from '../support/matrices.ts';

describe('slopes of the directions', () => {
  it('are the differences of the loss along each of them, and add up to the slope of beta', async () => {
    const { adapter, base, golden } = await loadGoldenCase('llama-gqa-tied');
    const batch = labelBatch(golden);
    const runtime = createRuntime({ device: 'tfjs-cpu', base });
    const deltas = [...adapter.modules].map(([module, { outFeatures, inFeatures }], i) => {
      const { data, ...shape } = randomMatrix(outFeatures, inFeatures, i);
      return [module, { ...shape, data: data.map((value) => 0.1 * value) }] as const;
    });
    const evolution = evolutionOf(new Map(deltas));
    const betasAt = (beta: number) =>
      new Map([...evolution.modules].map(([name, { rank }]) => [name, new Float64Array(rank).fill(beta)]));
    const lossAt = async (betas: ReadonlyMap<string, Float64Array>) => {
      const losses = await runtime.labelLosses(stackedDirections(adapter, evolution, betas), batch);
      return losses.reduce((sum, loss) => sum + loss, 0);
    };
    try {
      const middle = stackedAdapter(adapter, evolution, { alpha: 1, beta: -0.5 });
      expect(stackedDirections(adapter, evolution, betasAt(-0.5))).toEqual(middle);
      const { gradients } = await runtime.gradients(middle, batch, 1);
      const slopes = directionSlopes(adapter, evolution, gradients);
      const largest = Math.max(...[...slopes.values()].flatMap((values) => [...values].map(Math.abs)));
      expect(largest).toBeGreaterThan(0.01);
      for (const [module, values] of slopes) {
        const leading = values.indexOf(values.reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most)));
        const moved = (by: number) => {
          const betas = betasAt(-0.5);
          betas.get(module)![leading]! += by;
          return lossAt(betas);
        };
        const difference = ((await moved(0.02)) - (await moved(-0.02))) / 0.04;
        expect(Math.abs(difference - values[leading]!) / largest, module).toBeLessThan(5e-3);
      }
      const sum = [...slopes.values()].flatMap((values) => [...values]).reduce((total, value) => total + value, 0);
      const ofBeta = ((await lossAt(betasAt(-0.495))) - (await lossAt(betasAt(-0.505)))) / 0.01;
      expect(Math.abs(ofBeta - sum) / Math.max(largest, Math.abs(sum))).toBeLessThan(5e-3);
    } finally {
      await runtime.dispose();
    }
  });

  it('are refused for DoRA, and betas that do not fit are refused', async () => {
    const shape = { name: 'wide', outFeatures: 6, inFeatures: 14 };
    const adapter = randomAdapter([shape], 3, 6, 4);
    const evolution = evolutionOf(new Map([['wide', randomMatrix(6, 14, 1)]]));
    const dora = { ...adapter, config: { ...adapter.config, useDora: true } };
    expect(() => directionSlopes(dora, evolution, new Map())).toThrow('DoRA');
    expect(() => directionSlopes(adapter, evolution, new Map())).toThrow('gradients of module wide are missing');
    expect(() => stackedDirections(adapter, evolution, new Map())).toThrow('no betas, expected 6');
    const few = new Map([['wide', new Float64Array(2)]]);
    expect(() => stackedDirections(adapter, evolution, few)).toThrow('2 betas, expected 6');
  });
});

describe('the stacked adapter', () => {
  const shapes = [
    { name: 'wide', outFeatures: 6, inFeatures: 14 },
    { name: 'tall', outFeatures: 11, inFeatures: 5 },
  ];
  const adapter = randomAdapter(shapes, 3, 6, 4);
  const deltas = new Map(
    shapes.map(({ name, outFeatures, inFeatures }, i) => [name, randomMatrix(outFeatures, inFeatures, i)]),
  );
  const evolution = evolutionOf(deltas);

  it('holds the target without truncation', () => {
    for (const [name, factors] of stackedAdapter(adapter, evolution, { alpha: 0.7, beta: -1.1 }).modules) {
      const expected = denseTarget(adapter.modules.get(name)!, deltas.get(name)!, 0.7, -1.1);
      expect(maxDifference(productOf(factors), expected)).toBeLessThan(1e-5);
    }
  });
});
