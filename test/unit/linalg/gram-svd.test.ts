import { describe, expect, it } from 'vitest';
import { matmulTransposed, transposedMatmul } from '../../../core/linalg/matmul.ts';
import { matrix, scaleColumns, zeros, type Matrix } from '../../../core/linalg/matrix.ts';
import { qr } from '../../../core/linalg/qr.ts';
import { svd, type SvdFactors } from '../../../core/linalg/svd/svd.ts';
import { gramSvd } from '../../../core/linalg/svd/gram-svd.ts';
import { maxDifference, orthonormalityError, randomMatrix } from '../method/support/matrices.ts';

const rebuilt = ({ u, s, v }: SvdFactors) => matmulTransposed(scaleColumns(u, s), v);
const decomposed = (a: Matrix, rank: number) => gramSvd(a, transposedMatmul(a, a), rank);

/** Best approximation of the given rank, by the dense SVD. */
function best(a: Matrix, rank: number): Matrix {
  const { u, s, v } = svd(a);
  return rebuilt({ u, v, s: s.map((value, i) => (i < rank ? value : 0)) });
}

function withSpectrum(s: readonly number[]): Matrix {
  const [left, right] = [qr(randomMatrix(s.length, s.length, 1)).q, qr(randomMatrix(s.length, s.length, 2)).q];
  return matmulTransposed(scaleColumns(left, s), right);
}

const SPECTRA: [name: string, a: Matrix, tolerance: number][] = [
  ['random entries', randomMatrix(24, 24, 8), 1e-12],
  ['a spectrum that decays', withSpectrum(Array.from({ length: 40 }, (_, i) => 0.7 ** i)), 1e-12],
  ['a rank below the one that is kept', withSpectrum([3, 2, 1, ...new Array<number>(20).fill(0)]), 1e-14],
  // Directions of S[i] = 1e-4 are determined up to ε · S[0]² / S[i].
  ['a large gap', withSpectrum([1, 0.9, 0.8, ...[10, 8, 6, 4].map((value) => 1e-5 * value), 0, 0, 0, 0]), 2e-11],
  // Directions below √ε of the largest singular value may mix.
  ['twelve orders of magnitude', withSpectrum([1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12]), 1.5e-8],
];

describe('gramSvd', () => {
  it.each(SPECTRA)('is the leading part of the dense SVD: %s', (_, a, tolerance) => {
    const exact = svd(a).s;
    for (const rank of [1, 5, a.cols]) {
      const { s, v, squares, ...rest } = decomposed(a, rank);
      expect(maxDifference(rebuilt({ s, v, ...rest }), best(a, rank))).toBeLessThan(tolerance);
      expect(orthonormalityError(v)).toBeLessThan(1e-13);
      s.forEach((value, i) => expect(Math.abs(value - exact[i]!)).toBeLessThan(Math.max(tolerance, 1e-13) * exact[0]!));
      squares.forEach((value, i) => expect(Math.abs(value - exact[i]! ** 2)).toBeLessThan(1e-14 * exact[0]! ** 2));
    }
  });

  it('returns no more triplets than there are, and zeros for a matrix of zeros', () => {
    const { u, s, v, squares } = decomposed(zeros(3, 3), 8);
    expect([u.cols, v.cols, [...s], [...squares]]).toEqual([3, 3, [0, 0, 0], [0, 0, 0]]);
    expect([...u.data]).toEqual(new Array(9).fill(0));
  });

  it('refuses entries that are not finite, and a Gram matrix of another size', () => {
    expect(() => decomposed(matrix(2, 2, [1, NaN, 0, 1]), 1)).toThrow('not finite');
    expect(() => gramSvd(zeros(2, 2), zeros(3, 3), 1)).toThrow('columns and Gram matrix differ, 2 and 3');
  });
});
