import { describe, expect, it } from 'vitest';
import type { Adapter, LoraFactors } from '../../../../core/models/lora/adapter.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { matrix, type Matrix } from '../../../../core/linalg/matrix.ts';
import { rowNormsAt } from '../../../../core/method/fusion/fused-magnitude.ts';
import { bestApproximation, denseTarget, evolutionOf, productOf, randomAdapter } from '../support/adapters.ts';
import { frobeniusNorm, maxDifference, randomMatrix } from '../support/matrices.ts';

const SHAPE = { name: 'wide', outFeatures: 20, inFeatures: 48 };
const RANK = 3;

/** A DoRA adapter whose magnitudes are not the old base's norms, and a change that moves rows' norms much. */
function doraCase(change: Matrix) {
  const oldWeight = randomMatrix(20, 48, 9);
  const plain = randomAdapter([SHAPE], RANK, 6, 3);
  const magnitude = Float32Array.from({ length: 20 }, (_, i) => 5 + i / 4);
  const old: LoraFactors = { ...plain.modules.get('wide')!, magnitude };
  const adapter: Adapter = { config: { ...plain.config, useDora: true }, modules: new Map([['wide', old]]) };
  const evolution = evolutionOf(new Map([['wide', change]]), new Map([['wide', oldWeight]]));
  const newWeight = sum(oldWeight, change, 1);
  const at = async (alpha: number, beta: number) => {
    const fusion = await Fusion.prepare(adapter, evolution);
    return (await fusion.at({ alpha, beta })).modules.get('wide')!;
  };
  return { old, oldWeight, newWeight, change, at };
}

describe('the magnitude of a fused DoRA adapter', () => {
  const full = doraCase(randomMatrix(20, 48, 8));

  it.each([
    [0.5, -0.3],
    [0.5, 0],
    [1.3, -1.1],
    [1, 0.4],
    [0, -1],
  ])('gives the dense weight of alpha %f, beta %f', async (alpha, beta) => {
    const { old, newWeight, change, at } = full;
    const fused = await at(alpha, beta);
    // Update of rank r, added to the new weight, with every row scaled to the expected norm.
    const base = rowNorms(sum(newWeight, change, beta));
    const norms = [...old.magnitude!].map((value, i) => alpha * value + (1 - alpha) * base[i]!);
    const directions = sum(newWeight, bestApproximation(denseTarget(old, change, alpha, beta), RANK), 1);
    const expected = withNorms(directions, norms);
    const weight = doraWeight(newWeight, fused);
    expect(maxDifference(weight, expected)).toBeLessThan(1e-5);
    rowNorms(weight).forEach((norm, i) => expect(norm).toBeCloseTo(norms[i]!, 4));
  });

  it('leaves the new base as it is where nothing of the adapter is left', async () => {
    const { old, newWeight, at } = full;
    expect(maxDifference(doraWeight(newWeight, await at(0, 0)), newWeight)).toBeLessThan(1e-5);
    expect(
      maxDifference(doraWeight(newWeight, { ...(await at(0, 0)), magnitude: old.magnitude! }), newWeight),
    ).toBeGreaterThan(0.1);
  });

  it('is the old one at copy, and at revert gives the old weights', async () => {
    // Old update and change share their directions: the old rank holds the reverted update exactly.
    const left = matrix(20, RANK, full.old.b);
    const { old, oldWeight, newWeight, at } = doraCase(matmulTransposed(left, randomMatrix(48, RANK, 8)));
    expect(await at(1, 0)).toBe(old);
    expect(maxDifference(doraWeight(newWeight, await at(1, -1)), doraWeight(oldWeight, old))).toBeLessThan(1e-5);
    expect(maxDifference(doraWeight(newWeight, old), doraWeight(oldWeight, old))).toBeGreaterThan(0.1);
  });

  it('has the norms of the old base where base and adapter are both taken back', async () => {
    const { oldWeight, newWeight, at } = full;
    expect([...(await at(0, -1)).magnitude!].map((value) => value.toFixed(4))).toEqual(
      rowNorms(oldWeight).map((value) => value.toFixed(4)),
    );
    expect(rowNorms(newWeight)[0]).not.toBeCloseTo(rowNorms(oldWeight)[0]!, 1);
  });
});

describe('norms of rows between two versions and beyond', async () => {
  it('are those of a row worked by hand', async () => {
    // From (3, 4) to (3, 0): squares 25, 9, and 16 of the change (0, −4).
    const squares = Float32Array.of(25, 9, 16);
    expect([-1, 0, 1, -0.25].map((beta) => rowNormsAt(squares, beta)[0])).toEqual([5, 3, 5, Math.hypot(3, 1)]);
  });
});

function sum(a: Matrix, b: Matrix, factor: number): Matrix {
  return { ...a, data: a.data.map((value, i) => value + factor * b.data[i]!) };
}

function rowNorms({ rows, cols, data }: Matrix): number[] {
  return Array.from({ length: rows }, (_, i) => frobeniusNorm(data.subarray(i * cols, (i + 1) * cols)));
}

function withNorms(a: Matrix, norms: ArrayLike<number>): Matrix {
  const own = rowNorms(a);
  return {
    ...a,
    data: a.data.map((value, i) => (norms[Math.floor(i / a.cols)]! * value) / own[Math.floor(i / a.cols)]!),
  };
}

/** magnitude · (W + s · B A) / ‖W + s · B A‖ by rows, as PEFT computes it. */
function doraWeight(weight: Matrix, factors: LoraFactors): Matrix {
  return withNorms(sum(weight, productOf(factors), 1), factors.magnitude!);
}
