import { describe, expect, it } from 'vitest';
import { withSafetensors } from '../../../core/formats/safetensors/safetensors.ts';
import { gaussianMatrices } from '../../../core/linalg/svd/gaussian.ts';
import { matmulTransposed } from '../../../core/linalg/matmul.ts';
import { matrix, scaleColumns, toFloat64, zeros, type Matrix } from '../../../core/linalg/matrix.ts';
import { qr } from '../../../core/linalg/qr.ts';
import { svd } from '../../../core/linalg/svd/svd.ts';
import { randomizedSvd, type RandomizedSvdOptions } from '../../../core/linalg/svd/randomized-svd.ts';
import { frobeniusNorm, orthonormalityError, randomMatrix, subtract } from '../method/support/matrices.ts';

/** Makes a 120 × 80 matrix with the given decay of singular values. */
function withSpectrum(decay: (i: number) => number) {
  const s = Float64Array.from({ length: 80 }, (_, i) => decay(i));
  return matmulTransposed(scaleColumns(qr(randomMatrix(120, 80, 1)).q, s), qr(randomMatrix(80, 80, 2)).q);
}

/** The triplets in float64, their default precision. */
async function triplets(a: Matrix, options: RandomizedSvdOptions) {
  const { u, s, v } = await randomizedSvd(a, options);
  return { u: toFloat64(u), s, v: toFloat64(v) };
}

async function approximationError(a: Matrix, rank: number, powerIterations: number): Promise<number> {
  const { u, s, v } = await triplets(a, { rank, powerIterations, testMatrix: gaussianMatrices(3) });
  return frobeniusNorm(subtract(a, matmulTransposed(scaleColumns(u, s), v)).data);
}

/** W_new − W_old of one tensor of the demo family. */
async function trainedChange(tensor: string): Promise<Matrix> {
  const read = (version: string) => {
    const file = new URL(`../../../examples/demo-family/${version}/model.safetensors`, import.meta.url).pathname;
    return withSafetensors(file, (weights) => weights.read(tensor));
  };
  const [old, next] = await Promise.all([read('v1'), read('v2')]);
  const [rows, cols] = old.shape as [number, number];
  return matrix(
    rows,
    cols,
    next.data.map((value, i) => value - old.data[i]!),
  );
}

describe('randomizedSvd', () => {
  it.each([
    ['geometric', (i: number) => 0.8 ** i],
    ['1 / i', (i: number) => 1 / (i + 1)],
    ['flat, like noise', (i: number) => 1 - i / 160],
  ])('comes within 2 %% of the best approximation, %s spectrum', async (_, decay) => {
    const a = withSpectrum(decay);
    const best = frobeniusNorm(svd(a).s.subarray(16));
    expect(await approximationError(a, 16, 2)).toBeLessThan(1.02 * best);
  });

  it('gets nearer to the best with power iterations on a slow spectrum', async () => {
    const a = withSpectrum((i) => 1 / Math.sqrt(i + 1));
    expect(await approximationError(a, 16, 2)).toBeLessThan(await approximationError(a, 16, 0));
  });

  it('matches the dense singular values where the spectrum decays', async () => {
    const a = withSpectrum((i) => 0.7 ** i);
    const exact = svd(a).s;
    const { u, s, v } = await triplets(a, { rank: 12, testMatrix: gaussianMatrices(4) });
    s.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThan(1e-6 * exact[i]!));
    expect(orthonormalityError(u)).toBeLessThan(1e-12);
    expect(orthonormalityError(v)).toBeLessThan(1e-12);
  });

  it('is exact for a matrix of lower rank, and never returns more triplets than there are', async () => {
    const low = matmulTransposed(randomMatrix(60, 3, 5), randomMatrix(90, 3, 6));
    const { u, s, v } = await triplets(low, { rank: 10, testMatrix: gaussianMatrices(7) });
    expect(frobeniusNorm(subtract(low, matmulTransposed(scaleColumns(u, s), v)).data)).toBeLessThan(1e-11);
    expect(s[3]! / s[0]!).toBeLessThan(1e-13);
    expect((await triplets(randomMatrix(4, 9, 8), { rank: 32, testMatrix: gaussianMatrices(9) })).s.length).toBe(4);
  });

  it('finds the triplets of a diagonal matrix', async () => {
    const a = zeros(60, 50);
    [3, 5, 0.5, 1].forEach((value, i) => (a.data[i * 50 + i] = value));
    const { u, s, v } = await triplets(a, { rank: 3, testMatrix: gaussianMatrices(12) });
    [5, 3, 1].forEach((value, i) => expect(s[i]).toBeCloseTo(value, 12));
    [1, 0, 3].forEach((axis, i) => {
      expect(u.data[axis * 3 + i]! * v.data[axis * 3 + i]!).toBeCloseTo(1, 12);
    });
  });

  it('keeps to the expected error of the range finder without power iterations', async () => {
    // Halko, Martinsson and Tropp, theorem 10.5: E ‖A − QQᵀA‖ ≤ √(1 + k / (p − 1)) · ‖tail beyond k‖ for k + p samples.
    const [k, p] = [8, 8];
    const a = withSpectrum((i) => 1 / (i + 1));
    const tail = frobeniusNorm(svd(a).s.subarray(k));
    const seeds = Array.from({ length: 20 }, (_, seed) => seed);
    const measure = async (seed: number) => {
      const { u, s, v } = await triplets(a, {
        rank: k + p,
        oversampling: 0,
        powerIterations: 0,
        testMatrix: gaussianMatrices(seed),
      });
      return frobeniusNorm(subtract(a, matmulTransposed(scaleColumns(u, s), v)).data);
    };
    const errors = await Promise.all(seeds.map(measure));
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    expect(mean).toBeLessThan(Math.sqrt(1 + k / (p - 1)) * tail);
    expect(mean).toBeGreaterThan(frobeniusNorm(svd(a).s.subarray(k + p)));
  });

  it.each(['model.layers.0.self_attn.v_proj', 'model.layers.3.self_attn.q_proj', 'model.layers.5.mlp.down_proj'])(
    'comes near to the dense SVD of a change that training made: %s',
    async (module) => {
      const a = await trainedChange(`${module}.weight`);
      const exact = svd(a).s;
      const { u, s, v } = await triplets(a, { rank: 32, testMatrix: gaussianMatrices(13) });
      s.forEach((value, i) => {
        expect(value).toBeLessThan(exact[i]! * (1 + 1e-9));
        expect(value).toBeGreaterThan(exact[i]! * (i < 16 ? 0.98 : 0.93));
      });
      const error = frobeniusNorm(subtract(a, matmulTransposed(scaleColumns(u, s), v)).data);
      expect(error).toBeLessThan(1.02 * frobeniusNorm(exact.subarray(32)));
    },
  );

  it('gives equal factors for equal seeds', async () => {
    const a = randomMatrix(80, 70, 10);
    const run = () => triplets(a, { rank: 5, testMatrix: gaussianMatrices(11) });
    expect((await run()).u.data).toEqual((await run()).u.data);
  });
});
