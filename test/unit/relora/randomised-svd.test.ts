import { describe, expect, it } from 'vitest';
import { Random } from '../../../workers/models/random.ts';
import { matmulTransposed } from '../../../workers/relora/linalg/matmul.ts';
import { frobeniusNorm, scaleColumns } from '../../../workers/relora/linalg/matrix.ts';
import { qr } from '../../../workers/relora/linalg/qr.ts';
import { svd } from '../../../workers/relora/linalg/svd.ts';
import { randomisedSvd } from '../../../workers/relora/randomised-svd.ts';
import { orthonormalityError, randomMatrix, subtract } from './support/matrices.ts';

/** 120 × 80 with singular values that decay as given. */
function withSpectrum(decay: (i: number) => number) {
  const s = Float64Array.from({ length: 80 }, (_, i) => decay(i));
  return matmulTransposed(scaleColumns(qr(randomMatrix(120, 80, 1)).q, s), qr(randomMatrix(80, 80, 2)).q);
}

function approximationError(a: ReturnType<typeof withSpectrum>, rank: number, powerIterations: number): number {
  const { u, s, v } = randomisedSvd(a, { rank, powerIterations, random: Random.fromSeed(3) });
  return frobeniusNorm(subtract(a, matmulTransposed(scaleColumns(u, s), v)).data);
}

describe('randomisedSvd', () => {
  it.each([
    ['geometric', (i: number) => 0.8 ** i],
    ['1 / i', (i: number) => 1 / (i + 1)],
    ['flat, like noise', (i: number) => 1 - i / 160],
  ])('comes within 2 %% of the best approximation, %s spectrum', (_, decay) => {
    const a = withSpectrum(decay);
    const best = frobeniusNorm(svd(a).s.subarray(16));
    expect(approximationError(a, 16, 2)).toBeLessThan(1.02 * best);
  });

  it('gets nearer to the best with power iterations on a slow spectrum', () => {
    const a = withSpectrum((i) => 1 / Math.sqrt(i + 1));
    expect(approximationError(a, 16, 2)).toBeLessThan(approximationError(a, 16, 0));
  });

  it('matches the dense singular values where the spectrum decays', () => {
    const a = withSpectrum((i) => 0.7 ** i);
    const exact = svd(a).s;
    const { u, s, v } = randomisedSvd(a, { rank: 12, random: Random.fromSeed(4) });
    s.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThan(1e-6 * exact[i]!));
    expect(orthonormalityError(u)).toBeLessThan(1e-12);
    expect(orthonormalityError(v)).toBeLessThan(1e-12);
  });

  it('is exact for a matrix of lower rank, and never returns more triplets than there are', () => {
    const low = matmulTransposed(randomMatrix(60, 3, 5), randomMatrix(90, 3, 6));
    const { u, s, v } = randomisedSvd(low, { rank: 10, random: Random.fromSeed(7) });
    expect(frobeniusNorm(subtract(low, matmulTransposed(scaleColumns(u, s), v)).data)).toBeLessThan(1e-11);
    expect(s[3]! / s[0]!).toBeLessThan(1e-13);
    expect(randomisedSvd(randomMatrix(4, 9, 8), { rank: 32, random: Random.fromSeed(9) }).s.length).toBe(4);
  });

  it('gives equal factors for equal seeds', () => {
    const a = randomMatrix(80, 70, 10);
    const run = () => randomisedSvd(a, { rank: 5, random: Random.fromSeed(11) });
    expect(run().u.data).toEqual(run().u.data);
  });
});
