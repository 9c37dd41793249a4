import { thinQr } from '../../linalg/gram-factors.ts';
import { matmulTransposed } from '../../linalg/matmul.ts';
import { matrix, scaleAll, transpose, type DenseMatrix } from '../../linalg/matrix.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import { truncatedSvd } from '../../linalg/svd/svd.ts';
import type { LoraFactors } from '../../models/lora/adapter.ts';
import type { FusedShape } from './fusion-rank.ts';

/** Inputs of a column that is nearly always zero count as if they had this share of the mean square of all columns. */
const SMALLEST_SHARE = 1e-6;

/**
 * Truncates the update M = s · B A of a module so that its outputs change as little as possible: of all M_r of the given rank it
 * returns the one with the smallest ‖(M − M_r) C^½‖, C = diag(c). With c = E[x²] by column, this is E ‖(M − M_r) x‖² if
 * the columns of the inputs x are uncorrelated. With M C^½ = P Σ Nᵀ, M_r = P_r Σ_r N_rᵀ C^−½ (Eckart and Young 1936, as Zhang et
 * al., QERA, arXiv 2410.06040, use it with the diagonal of the inputs' autocorrelation). Computed from QR factorizations of
 * both factors and the SVD of a matrix of the update's rank, so M is never formed.
 * @param update factors of any rank
 * @param columnSquares c up to a factor, [inFeatures]; equal numbers give the usual truncation
 * @param shape rank and scaling of the result; directions that the update lacks are zero in both factors
 * @throws RangeError if c has another length, or holds a negative number or nothing but zeros
 */
export async function truncateWeighted(
  update: LoraFactors,
  columnSquares: ArrayLike<number>,
  { rank, scaling }: FusedShape,
  products: MatrixProducts,
): Promise<LoraFactors> {
  const { inFeatures, outFeatures } = update;
  const weights = rootsOf(columnSquares, inFeatures);
  const left = await thinQr({ rows: outFeatures, cols: update.rank, data: update.b }, products);
  const weighted = transpose(matrix(update.rank, inFeatures, update.a));
  weighted.data.forEach((value, i) => (weighted.data[i] = value * weights[Math.floor(i / update.rank)]!));
  const right = await thinQr(weighted, products);
  const core = scaleAll(matmulTransposed(left.r, right.r), update.scaling);
  const { u, s, v } = truncatedSvd(core, rank);
  const b = await products.times(left.q, u);
  const a = await products.times(right.q, v);
  const roots = s.map((value) => Math.sqrt(value / scaling));
  const factors = { a: new Float32Array(rank * inFeatures), b: new Float32Array(outFeatures * rank) };
  forEachEntry(b, (i, k, value) => (factors.b[i * rank + k] = value * roots[k]!));
  forEachEntry(a, (j, k, value) => (factors.a[k * inFeatures + j] = (value * roots[k]!) / weights[j]!));
  return { ...update, rank, scaling, ...factors };
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

function forEachEntry({ rows, cols, data }: DenseMatrix, use: (row: number, col: number, value: number) => void): void {
  for (let i = 0; i < rows; i++) for (let k = 0; k < cols; k++) use(i, k, data[i * cols + k]!);
}
