import type { TestMatrices } from './gaussian.ts';
import { spanningBasis, thinQr } from '../gram-factors.ts';
import { columns, toFloat64, type DenseMatrix } from '../matrix.ts';
import { plainProducts, type MatrixProducts } from '../products.ts';
import { svd, truncatedSvd } from './svd.ts';

export interface RandomizedSvdOptions {
  /** Largest number of singular triplets to return; there are at most min(rows, cols). */
  readonly rank: number;
  /** Number of directions sampled beyond `rank`. Default 8. */
  readonly oversampling?: number;
  /** Number of multiplications by A Aᵀ, each of which sharpens the decay of the spectrum. Default 2. */
  readonly powerIterations?: number;
  /** Gaussian matrices that sample the range of A. The computation has no other random part. */
  readonly testMatrix: TestMatrices;
  /** Implementation of matrix products to compute with. Default {@link plainProducts}. */
  readonly products?: MatrixProducts;
}

/**
 * Approximate SVD, A ≈ U diag(S) Vᵀ with U [rows, k], S [k] descending, V [cols, k], in the precision of the products.
 */
export interface LeadingTriplets {
  readonly u: DenseMatrix;
  readonly s: Float64Array;
  readonly v: DenseMatrix;
}

/**
 * Computes the leading singular triplets of A by a randomized range finder with power iterations, a basis of the sample
 * between multiplications, and an exact SVD of the projected matrix (Halko, Martinsson and Tropp, Finding structure
 * with randomness, SIAM Review 53, 2011: algorithms 4.4 and 5.1). It uses the dense SVD where the sample would span the
 * whole space anyway. Directions below 1e-7 of the largest singular value may be left out: they are zero in U and V.
 * @returns k = min(rank, rows, cols) triplets
 */
export async function randomizedSvd(a: DenseMatrix, options: RandomizedSvdOptions): Promise<LeadingTriplets> {
  const { rank, oversampling = 8, powerIterations = 2, testMatrix, products = plainProducts } = options;
  const samples = rank + oversampling;
  if (samples >= Math.min(a.rows, a.cols)) return denseTriplets(a, rank);
  const test = testMatrix(a.cols, samples);
  const { q } = await thinQr(await rangeSample(a, test, powerIterations, products), products);
  // With AᵀQ = P R and R = X S Yᵀ, A ≈ Q QᵀA = Q Rᵀ Pᵀ = (Q Y) S (P X)ᵀ.
  const projected = await thinQr(await products.transposedTimes(a, q), products);
  const { u, s, v } = truncatedSvd(projected.r, rank);
  return {
    u: await products.times(q, v),
    s,
    v: await products.times(projected.q, u),
  };
}

/**
 * Returns (A Aᵀ)^iterations A · test, up to a change of basis: its columns nearly span A's leading left singular
 * vectors.
 */
async function rangeSample(
  a: DenseMatrix,
  test: DenseMatrix,
  iterations: number,
  products: MatrixProducts,
): Promise<DenseMatrix> {
  let sample = await products.times(a, test);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const cosample = await products.transposedTimes(a, await spanningBasis(sample, products));
    sample = await products.times(a, await spanningBasis(cosample, products));
  }
  return sample;
}

function denseTriplets(a: DenseMatrix, rank: number): LeadingTriplets {
  const { u, s, v } = svd(toFloat64(a));
  const k = Math.min(rank, s.length);
  return { u: columns(u, 0, k), s: s.slice(0, k), v: columns(v, 0, k) };
}
