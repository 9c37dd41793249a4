import { expect, it } from 'vitest';
import type { Batch, Runtime } from '../../../../core/engine/runtime.ts';
import { matmul } from '../../../../core/linalg/matmul.ts';
import { matrix } from '../../../../core/linalg/matrix.ts';
import { plainProducts } from '../../../../core/linalg/products.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { maskedAdapter, voteOnSigns } from '../../../../experiments/initial-adapters/gradient-signs.ts';
import { bestApproximation, evolutionOf, productOf, randomAdapter } from '../../method/support/adapters.ts';
import { maxDifference, randomMatrix } from '../../method/support/matrices.ts';

const SHAPES = [
  { name: 'wide', outFeatures: 6, inFeatures: 14 },
  { name: 'tall', outFeatures: 11, inFeatures: 5 },
];
const old = randomAdapter(SHAPES, 3, 6, 4);
const deltas = new Map(
  SHAPES.map(({ name, outFeatures, inFeatures }, i) => [name, randomMatrix(outFeatures, inFeatures, i)]),
);
const evolution = evolutionOf(deltas);
const signal = new AbortController().signal;

/** The dense gradient of a row is a random matrix of its number; the gradient of B is that times Aᵀ. */
const gradientOf = (row: number, name: string) => {
  const { outFeatures, inFeatures } = old.modules.get(name)!;
  return randomMatrix(outFeatures, inFeatures, 100 * row + name.length);
};
const runtime = {
  gradients: (adapter: Adapter, { inputIds: [row] }: Batch) => {
    const gradients = [...adapter.modules].map(([name, { a, rank, inFeatures }]) => {
      const transposed = new Float64Array(inFeatures * rank);
      a.forEach((value, i) => (transposed[(i % inFeatures) * rank + Math.floor(i / inFeatures)] = value));
      const b = matmul(gradientOf(row!, name), matrix(inFeatures, rank, transposed));
      return [name, { a, b: Float32Array.from(b.data) }] as const;
    });
    return Promise.resolve({ lossSum: 0, gradients: new Map(gradients) });
  },
} as unknown as Runtime;
const batches = [1, 2, 3].map((row) => ({ inputIds: Int32Array.of(row) }) as unknown as Batch);

it('counts for each weight the rows whose gradient is positive less those where it is negative', async () => {
  const votes = await voteOnSigns(runtime, old, batches, { parts: 4, signal });
  for (const [name, counted] of votes) {
    const expected = [1, 2, 3].map((row) => gradientOf(row, name).data.map(Math.sign));
    expect([...counted]).toEqual([...expected[0]!.map((sign, i) => sign + expected[1]![i]! + expected[2]![i]!)]);
  }
  const many = Array.from({ length: 128 }, () => batches[0]!);
  await expect(voteOnSigns(runtime, old, many, { parts: 4, signal })).rejects.toThrow('128 rows');
});

it.each([0, -1])('keeps the weights that point against the gradient, and adds %i times the change', async (beta) => {
  const votes = await voteOnSigns(runtime, old, batches, { parts: 2, signal });
  const masked = await maskedAdapter({ old, evolution, votes, beta, products: plainProducts });
  expect(masked.config).toBe(old.config);
  for (const [name, factors] of masked.modules) {
    const update = productOf(old.modules.get(name)!);
    const kept = update.data.map((value, i) => (Math.sign(value) === -Math.sign(votes.get(name)![i]!) ? value : 0));
    const share = kept.filter((value) => value !== 0).length / kept.length;
    expect(share).toBeGreaterThan(0.3);
    expect(share).toBeLessThan(0.7);
    const target = { ...update, data: kept.map((value, i) => value + beta * deltas.get(name)!.data[i]!) };
    expect(maxDifference(productOf(factors), bestApproximation(target, 3))).toBeLessThan(1e-4);
  }
});
