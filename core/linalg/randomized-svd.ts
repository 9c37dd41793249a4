import type { Random } from '../statistics/random.ts';
import { matmul, transposedMatmul } from './matmul.ts';
import { columns, zeros, type Matrix } from './matrix.ts';
import { qr } from './qr.ts';
import { svd, type SvdFactors } from './svd.ts';

export interface RandomizedSvdOptions {
  /** Number of singular triplets; at most min(rows, cols) are returned. */
  readonly rank: number;
  /** Number of directions sampled beyond `rank`. Default 8. */
  readonly oversampling?: number;
  /** Number of multiplications by A Aᵀ, each of which sharpens the decay of the spectrum. Default 2. */
  readonly powerIterations?: number;
  /** Source of the Gaussian test matrix; the only randomness. */
  readonly random: Random;
}

/**
 * Computes the leading singular triplets of A by a randomized range finder with power iterations, a QR between
 * multiplications, and an exact SVD of the projected matrix (Halko, Martinsson and Tropp, Finding structure with
 * randomness, SIAM Review 53, 2011: algorithms 4.4 and 5.1). It uses the dense SVD where the sample would span the whole
 * space anyway.
 * @returns U [rows, k], S [k] descending, V [cols, k] with k = min(rank, rows, cols)
 */
export function randomizedSvd(a: Matrix, options: RandomizedSvdOptions): SvdFactors {
  const { rank, oversampling = 8, powerIterations = 2, random } = options;
  const smaller = Math.min(a.rows, a.cols);
  const samples = rank + oversampling;
  if (samples >= smaller) return leading(svd(a), rank);
  const basis = rangeFinder(a, samples, powerIterations, random);
  const projected = svd(transposedMatmul(basis, a));
  return leading({ ...projected, u: matmul(basis, projected.u) }, rank);
}

/** Finds an orthonormal Q [rows, samples] whose span nearly contains A's leading left singular vectors. */
function rangeFinder(a: Matrix, samples: number, powerIterations: number, random: Random): Matrix {
  const test = zeros(a.cols, samples);
  for (let i = 0; i < test.data.length; i++) test.data[i] = random.normal();
  let basis = qr(matmul(a, test)).q;
  for (let iteration = 0; iteration < powerIterations; iteration++) {
    const cobasis = qr(transposedMatmul(a, basis)).q;
    basis = qr(matmul(a, cobasis)).q;
  }
  return basis;
}

function leading({ u, s, v }: SvdFactors, rank: number): SvdFactors {
  const k = Math.min(rank, s.length);
  return { u: columns(u, 0, k), s: s.slice(0, k), v: columns(v, 0, k) };
}
