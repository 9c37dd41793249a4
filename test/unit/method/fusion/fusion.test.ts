import { describe, expect, it } from 'vitest';
import { computeEvolution } from '../../../../core/method/evolution/evolution.ts';
import { withOnnxProducts } from '../../../../core/engine/compiled/onnx-products.ts';
import { REVERT } from '../../../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { matrix, zeros, type Matrix } from '../../../../core/linalg/matrix.ts';
import { svd } from '../../../../core/linalg/svd/svd.ts';
import { bestApproximation, denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { goldenEvolution } from '../support/golden-evolution.ts';
import { frobeniusNorm, maxDifference, randomMatrix } from '../support/matrices.ts';

describe('fusion against the reference implementation', async () => {
  const golden = await goldenEvolution();
  // The differences have rank 2 and a little noise of full rank; the reference uses all of it.
  const evolution = await computeEvolution(golden.from, golden.to, { rank: 64 });
  const fusion = await Fusion.prepare(golden.adapter, evolution);

  it.each(golden.pairs)('agrees for alpha $alpha, beta $beta', async ({ prefix, alpha, beta }) => {
    const { adapter, truncationErrors } = await fusion.fuse({ alpha, beta });
    const frobenius = golden.values.get(`${prefix}.frobenius`)!.data;
    golden.modules.forEach((name, i) => expect(truncationErrors.get(name)).toBeCloseTo(frobenius[i]!, 5));
    const products = [...golden.values].filter(([name]) => name.startsWith(`${prefix}.product.`));
    expect(products.length).toBeGreaterThan(0);
    for (const [name, { shape, data }] of products) {
      const module = name.slice(`${prefix}.product.`.length);
      const product = productOf(adapter.modules.get(module)!);
      expect(maxDifference(product, matrix(shape[0]!, shape[1]!, data))).toBeLessThan(2e-6);
      const singular = golden.values.get(`${prefix}.singular_values.${module}`)!.data;
      const kept = svd(product).s.subarray(0, golden.adapter.config.rank);
      kept.forEach((value, k) => expect(value).toBeCloseTo(singular[k]!, 5));
    }
  });
});

const SHAPES = [
  { name: 'wide', outFeatures: 20, inFeatures: 48 },
  { name: 'tall', outFeatures: 40, inFeatures: 16 },
  // Rank of the old update and the change together exceeds both dimensions.
  { name: 'tiny', outFeatures: 5, inFeatures: 6 },
];
const deltas = new Map(
  SHAPES.map(({ name, outFeatures, inFeatures }, i) => [name, randomMatrix(outFeatures, inFeatures, i)]),
);
const adapter = randomAdapter(SHAPES, 4, 8, 7);
const fusion = await Fusion.prepare(adapter, evolutionOf(deltas));

describe('Fusion', () => {
  it.each([
    [1, 1],
    [1, -1],
    [0.6, 0.3],
    [0, -0.7],
    [-1.2, 2],
  ])('is the best approximation of the dense target for alpha %f, beta %f', async (alpha, beta) => {
    const { adapter: fused, truncationErrors } = await fusion.fuse({ alpha, beta });
    for (const [name, factors] of fused.modules) {
      const target = denseTarget(adapter.modules.get(name)!, deltas.get(name)!, alpha, beta);
      const product = productOf(factors);
      expect(maxDifference(product, bestApproximation(target, 4))).toBeLessThan(2e-5);
      const error = frobeniusNorm(target.data.map((value, i) => value - product.data[i]!));
      expect(truncationErrors.get(name)).toBeCloseTo(error, 4);
    }
  });

  it('keeps configuration, ranks and scalings, and balances the factors', async () => {
    const fused = await fusion.at({ alpha: 1, beta: -0.5 });
    expect(fused.config).toBe(adapter.config);
    for (const [name, factors] of fused.modules) {
      const { a, b, ...rest } = adapter.modules.get(name)!;
      expect(factors).toMatchObject(rest);
      expect([factors.a.length, factors.b.length]).toEqual([a.length, b.length]);
      expect(frobeniusNorm(factors.a)).toBeCloseTo(frobeniusNorm(factors.b), 4);
    }
  });

  it('copies exactly: (1, 0) shares the old factors', async () => {
    const copy = await fusion.at({ alpha: 1, beta: 0 });
    for (const [name, factors] of copy.modules) expect(factors).toBe(adapter.modules.get(name));
  });

  it('makes a zero adapter that can learn: (0, 0) keeps A and empties B', async () => {
    for (const [name, factors] of (await fusion.at({ alpha: 0, beta: 0 })).modules) {
      expect(factors.a).toEqual(adapter.modules.get(name)!.a);
      expect(factors.b.every((value) => Object.is(value, 0))).toBe(true);
    }
  });

  it('scales exactly where only alpha counts', async () => {
    const half = await fusion.at({ alpha: 0.5, beta: 0 });
    for (const [name, factors] of half.modules) {
      const expected = denseTarget(adapter.modules.get(name)!, deltas.get(name)!, 0.5, 0);
      expect(maxDifference(productOf(factors), expected)).toBeLessThan(1e-5);
    }
  });

  it('fills directions that the target lacks with rows of the old A, so that they can learn', async () => {
    const direction = matmulTransposed(randomMatrix(20, 1, 1), randomMatrix(48, 1, 2));
    const shape = SHAPES[0]!;
    const old = randomAdapter([shape], 4, 4, 3);
    const narrow = await Fusion.prepare(old, evolutionOf(new Map([[shape.name, direction]])));
    const { a, b } = (await narrow.at({ alpha: 0, beta: 1 })).modules.get('wide')!;
    const product: Matrix = productOf({ ...old.modules.get('wide')!, a, b });
    expect(maxDifference(product, direction)).toBeLessThan(1e-5);
    for (let k = 1; k < 4; k++) {
      expect(frobeniusNorm(a.subarray(k * 48, (k + 1) * 48))).toBeGreaterThan(0.1);
      expect(Array.from({ length: 20 }, (_, i) => b[i * 4 + k])).toEqual(new Array(20).fill(0));
    }
  });

  it('does so beside directions of the old adapter, where the update has fewer of them than the rank', async () => {
    const direction = matmulTransposed(randomMatrix(20, 1, 1), randomMatrix(48, 1, 2));
    const shape = SHAPES[0]!;
    const random = randomAdapter([shape], 4, 4, 3);
    const { b: full, ...factors } = random.modules.get('wide')!;
    const b = full.map((value, i) => (i % 4 < 2 ? value : 0));
    const old = { ...random, modules: new Map([['wide', { ...factors, b }]]) };
    const fused = await (await Fusion.prepare(old, evolutionOf(new Map([['wide', direction]])))).at(REVERT);
    const { a, b: fusedB } = fused.modules.get('wide')!;
    const target = denseTarget(old.modules.get('wide')!, direction, 1, -1);
    expect(maxDifference(productOf(fused.modules.get('wide')!), target)).toBeLessThan(2e-5);
    expect(a.subarray(3 * 48)).toEqual(factors.a.subarray(3 * 48));
    expect(Array.from({ length: 20 }, (_, i) => fusedB[i * 4 + 3])).toEqual(new Array(20).fill(0));
  });

  it('keeps what is left where the change nearly undoes the old update', async () => {
    const old = randomAdapter(SHAPES, 4, 4, 5);
    const changes = new Map(
      SHAPES.map(({ name, outFeatures, inFeatures }, i) => {
        const update = productOf(old.modules.get(name)!);
        const noise = randomMatrix(outFeatures, inFeatures, 20 + i);
        return [name, { ...update, data: update.data.map((value, at) => value + 1e-3 * noise.data[at]!) }];
      }),
    );
    const fused = await (await Fusion.prepare(old, evolutionOf(changes))).at(REVERT);
    for (const [name, factors] of fused.modules) {
      const target = denseTarget(old.modules.get(name)!, changes.get(name)!, 1, -1);
      // Rounding U, S and V to float32 leaves 6e-8 of the change, which is a thousand times as large as the target.
      expect(maxDifference(productOf(factors), bestApproximation(target, 4))).toBeLessThan(2e-5);
      expect(frobeniusNorm(productOf(factors).data)).toBeGreaterThan(3e-3);
    }
  });

  it('leaves modules alone that did not change', async () => {
    const unchanged = new Map([...deltas].map(([name, { rows, cols }]) => [name, zeros(rows, cols)]));
    const reverted = await (await Fusion.prepare(adapter, evolutionOf(unchanged))).at({ alpha: 1, beta: -1 });
    expect(reverted.modules.get('wide')).toBe(adapter.modules.get('wide'));
  });

  it('refuses an evolution without the module, of another shape, and coefficients that are no numbers', async () => {
    const without = new Map([...deltas].filter(([name]) => name !== 'tall'));
    await expect(Fusion.prepare(adapter, evolutionOf(without))).rejects.toThrow(
      'adapted module tall is not in the evolution',
    );
    const other = new Map(deltas).set('tall', randomMatrix(16, 40, 1));
    await expect(Fusion.prepare(adapter, evolutionOf(other))).rejects.toThrow(
      'tall is [16, 40] in the evolution, expected [40, 16]',
    );
    await expect(fusion.at({ alpha: NaN, beta: 0 })).rejects.toThrow('alpha NaN');
    await expect(fusion.at({ alpha: 1, beta: Infinity })).rejects.toThrow('alpha 1 and beta Infinity, expected finite');
  });
});

describe('Fusion by ONNX Runtime', () => {
  it.each([
    [1, -1],
    [0.6, 0.3],
    [0, 1],
  ])('agrees with the reference for alpha %f, beta %f, with equal bits each time', async (alpha, beta) => {
    await withOnnxProducts(async (products) => {
      const options = { maxRank: 6, products } as const;
      const fast = await (await Fusion.prepare(adapter, evolutionOf(deltas), options)).fuse({ alpha, beta });
      const again = await (await Fusion.prepare(adapter, evolutionOf(deltas), options)).fuse({ alpha, beta });
      expect(again).toEqual(fast);
      const plain = await (await Fusion.prepare(adapter, evolutionOf(deltas), { maxRank: 6 })).fuse({ alpha, beta });
      for (const [name, factors] of fast.adapter.modules) {
        const expected = productOf(plain.adapter.modules.get(name)!);
        const scale = Math.max(...expected.data.map(Math.abs));
        expect(maxDifference(productOf(factors), expected)).toBeLessThan(2e-6 * scale);
        const difference = fast.truncationErrors.get(name)! - plain.truncationErrors.get(name)!;
        expect(Math.abs(difference)).toBeLessThan(2e-5 * scale);
      }
    });
  });
});
