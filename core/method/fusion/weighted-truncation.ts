import { thinQr } from '../../linalg/gram-factors.ts';
import { matmul, matmulTransposed, transposedMatmul } from '../../linalg/matmul.ts';
import { frobeniusNorm, matrix, scaleAll, transpose, type DenseMatrix, type Matrix } from '../../linalg/matrix.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import { truncatedSvd } from '../../linalg/svd/svd.ts';
import { leadingEigenvectors } from '../../linalg/svd/symmetric-eigen.ts';
import type { LoraFactors } from '../../models/lora/adapter.ts';
import type { FusedShape } from './fusion-rank.ts';

/** Inputs of a column that is nearly always zero count as if they had this share of the mean square of all columns. */
const SMALLEST_SHARE = 1e-6;

/**
 * Truncates the update M = s · B A of a module so that its outputs change as little as possible: of all M_r of the given rank it
 * returns one with the smallest E ‖(M − M_r) x‖² = ‖(M − M_r) C^½‖², C = E[x xᵀ] over the inputs x. With P the leading r
 * eigenvectors of M C Mᵀ, M_r = P Pᵀ M (reduced-rank regression: Izenman, Journal of Multivariate Analysis 5, 1975, with the
 * outputs M x as responses). M C Mᵀ = s² B Z Bᵀ with Z = E[(A x)(A x)ᵀ], so that neither M nor C is ever formed, and a C of
 * any rank will do.
 * @param update factors of any rank
 * @param moments Z up to a factor, [rank, rank] row-major
 * @param shape rank and scaling of the result; both factors have equal norms in each of its directions, and directions that
 *   the update lacks are zero
 * @throws RangeError if Z has another size or entries that are not finite
 */
export async function truncateByMoments(
  update: LoraFactors,
  moments: ArrayLike<number>,
  shape: FusedShape,
  products: MatrixProducts,
): Promise<LoraFactors> {
  const { inFeatures, outFeatures } = update;
  const z = matrix(update.rank, update.rank, moments);
  if (!z.data.every(Number.isFinite)) throw new RangeError('the moments of the inputs are not finite');
  const left = await thinQr({ rows: outFeatures, cols: update.rank, data: update.b }, products);
  const { vectors } = leadingEigenvectors(
    matmulTransposed(matmul(left.r, z), left.r),
    Math.min(shape.rank, update.rank),
  );
  const coordinates = scaleAll(transposedMatmul(vectors, left.r), update.scaling / shape.scaling);
  const b = await products.times(left.q, vectors);
  const a = await products.times(coordinates, { rows: update.rank, cols: inFeatures, data: update.a });
  return balanced(update, shape, { b, a });
}

/**
 * The same as if the columns of the inputs were uncorrelated, with C = diag(c): with M C^½ = P Σ Nᵀ, M_r = P_r Σ_r N_rᵀ C^−½ (Zhang et
 * al., QERA, arXiv 2410.06040, by Eckart and Young 1936). Computed from QR factorizations of both factors and the SVD of a matrix of
 * the update's rank.
 * @param columnSquares c up to a factor, [inFeatures]; equal numbers give the usual truncation
 * @throws RangeError if c has another length, or holds a negative number or nothing but zeros
 */
export async function truncateBySquares(
  update: LoraFactors,
  columnSquares: ArrayLike<number>,
  shape: FusedShape,
  products: MatrixProducts,
): Promise<LoraFactors> {
  const { inFeatures, outFeatures } = update;
  const weights = rootsOf(columnSquares, inFeatures);
  const left = await thinQr({ rows: outFeatures, cols: update.rank, data: update.b }, products);
  const weighted = transpose(matrix(update.rank, inFeatures, update.a));
  weighted.data.forEach((value, i) => (weighted.data[i] = value * weights[Math.floor(i / update.rank)]!));
  const right = await thinQr(weighted, products);
  const { u, s, v } = truncatedSvd(
    scaleAll(matmulTransposed(left.r, right.r), update.scaling / shape.scaling),
    shape.rank,
  );
  const b = await products.times(left.q, u);
  const a = transpose(asMatrix(await products.times(right.q, v)));
  a.data.forEach((value, i) => (a.data[i] = (value * s[Math.floor(i / inFeatures)]!) / weights[i % inFeatures]!));
  return balanced(update, shape, { b, a });
}

/** √c, with the smallest raised so that it can be divided by. */
function rootsOf(columnSquares: ArrayLike<number>, inFeatures: number): Float64Array {
  const squares = Float64Array.from(columnSquares);
  if (squares.length !== inFeatures)
    throw new RangeError(`found squares of ${squares.length} columns, expected ${inFeatures}`);
  const mean = squares.reduce((sum, value) => sum + value, 0) / inFeatures;
  if (!(mean > 0) || squares.some((value) => !(value >= 0)))
    throw new RangeError('the squares of columns are negative, zero or not numbers, expected some above zero');
  return squares.map((value) => Math.sqrt(Math.max(value, SMALLEST_SHARE * mean)));
}

function asMatrix({ rows, cols, data }: DenseMatrix): Matrix {
  return { rows, cols, data: Float64Array.from(data) };
}

/**
 * Factors with these directions.
 * @param b orthonormal columns, [outFeatures, directions]
 * @param a [directions, inFeatures]
 */
function balanced(
  update: LoraFactors,
  { rank, scaling }: FusedShape,
  { a, b }: { readonly a: DenseMatrix; readonly b: DenseMatrix },
): LoraFactors {
  const { inFeatures, outFeatures } = update;
  const factors = { a: new Float32Array(rank * inFeatures), b: new Float32Array(outFeatures * rank) };
  for (let k = 0; k < a.rows; k++) {
    const row = a.data.subarray(k * inFeatures, (k + 1) * inFeatures);
    const root = Math.sqrt(frobeniusNorm(row));
    row.forEach((value, j) => (factors.a[k * inFeatures + j] = root === 0 ? 0 : value / root));
    for (let i = 0; i < outFeatures; i++) factors.b[i * rank + k] = root * b.data[i * b.cols + k]!;
  }
  return { ...update, rank, scaling, ...factors };
}
