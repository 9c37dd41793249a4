import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import type { Batch, Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import {
  coefficientGradients,
  directionSlopes,
  directionSquares,
  stackedAdapter,
  stackedDirections,
  sumByGroup,
} from '../../../../core/method/search/gradients/coefficient-gradients.ts';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { doraRowProducts } from '../../../../core/method/search/gradients/dora-slopes.ts';
import type { Evolution } from '../../../../core/method/evolution/evolution.ts';
import { everyGroup, groupingOf, type Grouping } from '../../../../core/method/fusion/grouping.ts';
import { frobeniusNorm } from '../../../../core/linalg/matrix.ts';
import { labelBatch, loadGoldenCase } from '../../engine/support/golden.ts';
import { denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { maxDifference, randomMatrix } from '../support/matrices.ts';

const STEP = 0.005;

/** LoRA, rsLoRA on two projections, ranks that differ by module, DoRA. */
describe.each(['llama-gqa-tied', 'llama-qv-rslora', 'llama-patterns', 'llama-dora'])(
  'slopes of the coefficients: %s',
  (name) => {
    let adapter: Adapter;
    let evolution: Evolution;
    let batch: Batch;
    let runtime: Runtime;
    let dora: (pair: Coefficients) => Parameters<typeof coefficientGradients>[3];

    beforeAll(async () => {
      const golden = await loadGoldenCase(name);
      adapter = golden.adapter;
      batch = labelBatch(golden.golden);
      runtime = createRuntime({ device: 'tfjs-cpu', base: golden.base });
      const deltas = [...adapter.modules].map(([module, { outFeatures, inFeatures }], i) => {
        const { data, ...shape } = randomMatrix(outFeatures, inFeatures, i);
        return [module, { ...shape, data: data.map((value) => 0.1 * value) }] as const;
      });
      const before = deltas.map(([module, { data, ...shape }]) => {
        const after = golden.base.weights.get(`${module}.weight`)!.data;
        return [module, { ...shape, data: data.map((value, i) => after[i]! - value) }] as const;
      });
      evolution = evolutionOf(new Map(deltas), new Map(before));
      dora = (pair) => ({ coefficients: pair, rows: doraRowProducts(adapter, evolution, golden.base.weights) });
    });
    afterAll(() => runtime.dispose());

    async function lossAt(grouping: Grouping, values: Map<string, Coefficients>): Promise<number> {
      const losses = await runtime.labelLosses(stackedAdapter(adapter, evolution, { grouping, values }), batch);
      return losses.reduce((sum, loss) => sum + loss, 0);
    }

    it.each([
      ['all', 'global', { alpha: 0.8, beta: -0.5 }],
      ['blocks, at nothing', 'block', { alpha: 0, beta: 0 }],
      ['modules, at revert', 'module', { alpha: 1, beta: -1 }],
    ] as const)('are the differences of the loss: %s', async (_, name, pair) => {
      const modules = [...adapter.modules.keys()];
      const grouping = groupingOf(name, modules);
      const values = new Map(everyGroup(grouping, modules, pair).values);
      const { gradients } = await runtime.gradients(stackedAdapter(adapter, evolution, pair), batch, 1);
      const slopes = sumByGroup(coefficientGradients(adapter, evolution, gradients, dora(pair)), grouping);
      expect([...slopes.keys()].sort()).toEqual([...values.keys()].sort());
      const largest = Math.max(...[...slopes.values()].flatMap(({ alpha, beta }) => [Math.abs(alpha), Math.abs(beta)]));
      expect(largest).toBeGreaterThan(0.01);
      for (const group of [...values.keys()].slice(0, 3)) {
        for (const coefficient of ['alpha', 'beta'] as const) {
          const moved = (by: number) => new Map(values).set(group, { ...pair, [coefficient]: pair[coefficient] + by });
          const [above, below] = [await lossAt(grouping, moved(STEP)), await lossAt(grouping, moved(-STEP))];
          const error = Math.abs((above - below) / (2 * STEP) - slopes.get(group)![coefficient]);
          expect(error / largest, `${group} ${coefficient}`).toBeLessThan(5e-3);
        }
      }
    });
  },
);

describe('slopes of the directions', () => {
  it('are the differences of the loss along each of them, and add up to the slopes of beta', async () => {
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
      const sums = coefficientGradients(adapter, evolution, gradients);
      const largest = Math.max(...[...slopes.values()].flatMap((values) => [...values].map(Math.abs)));
      expect(largest).toBeGreaterThan(0.01);
      for (const [module, values] of slopes) {
        expect(values.reduce((sum, value) => sum + value, 0)).toBeCloseTo(sums.get(module)!.beta, 10);
        const leading = values.indexOf(values.reduce((most, one) => (Math.abs(one) > Math.abs(most) ? one : most)));
        const moved = (by: number) => {
          const betas = betasAt(-0.5);
          betas.get(module)![leading]! += by;
          return lossAt(betas);
        };
        const difference = ((await moved(0.02)) - (await moved(-0.02))) / 0.04;
        expect(Math.abs(difference - values[leading]!) / largest, module).toBeLessThan(5e-3);
      }
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

  it('has the directions of which it is made in its squares', () => {
    for (const [name, { alpha, beta }] of directionSquares(adapter, evolution)) {
      expect(alpha / frobeniusNorm(productOf(adapter.modules.get(name)!).data) ** 2).toBeCloseTo(1, 5);
      expect(beta / frobeniusNorm(deltas.get(name)!.data) ** 2).toBeCloseTo(1, 5);
    }
  });
});
