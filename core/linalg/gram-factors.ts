import { requireEqual, transpose, zeros, type DenseMatrix, type Matrix } from './matrix.ts';
import { matmul } from './matmul.ts';
import type { MatrixProducts } from './products.ts';

/**
 * Thin QR factors, Y = Q R: Q [rows, cols] has orthonormal columns, with zeros for a column that depends on earlier
 * ones; R is upper triangular.
 */
export interface ThinFactors {
  readonly q: DenseMatrix;
  readonly r: Matrix;
}

/**
 * Returns a basis of the columns of a tall matrix Y by one Cholesky factorization of its Gram matrix. The basis spans
 * the columns to rounding. It is orthonormal to about ε · κ² in float64 and ε · κ in float32, where κ is the condition
 * number of Y: enough to continue a power iteration, in which only the span matters.
 */
export async function spanningBasis(y: DenseMatrix, products: MatrixProducts): Promise<DenseMatrix> {
  return (await factorOnce(y, products)).q;
}

/**
 * Thin QR factorization of a tall matrix by Cholesky factorizations of Gram matrices, done twice, after which Q is
 * orthonormal to rounding (CholeskyQR2: Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, ETNA 44, 2015). All work that
 * grows with the number of rows is in matrix products. A column counts as dependent on earlier ones if less than {@link
 * NEGLIGIBLE} of its squared length is left without its projection onto them.
 */
export async function thinQr(y: DenseMatrix, products: MatrixProducts): Promise<ThinFactors> {
  const first = await factorOnce(y, products);
  const second = await factorOnce(first.q, products);
  return { q: second.q, r: matmul(second.r, first.r) };
}

async function factorOnce(y: DenseMatrix, products: MatrixProducts): Promise<ThinFactors> {
  const lower = semidefiniteCholesky(await products.gram(y));
  return { q: await products.times(y, transpose(inverseOfLower(lower))), r: transpose(lower) };
}

/**
 * Limit below which a column counts as dependent on earlier ones: the share of its squared length that is left when its
 * projection onto them is removed. A column of float32 numbers has rounding noise of about 4e-15 of its squared length.
 */
const NEGLIGIBLE = 1e-14;

/**
 * Returns the lower triangular L with L Lᵀ = G for a positive semidefinite G. A column that depends on earlier ones has
 * a zero on the diagonal and zeros below it.
 */
export function semidefiniteCholesky(g: Matrix): Matrix {
  requireEqual('semidefiniteCholesky', 'rows and columns', g.rows, g.cols);
  const n = g.rows;
  const { data } = g;
  const l = zeros(n, n);
  for (let i = 0; i < n; i++) {
    const row = i * n;
    let left = data[row + i]!;
    for (let j = 0; j < i; j++) {
      const pivot = l.data[j * n + j]!;
      if (pivot === 0) continue;
      let sum = data[row + j]!;
      for (let k = 0; k < j; k++) sum -= l.data[row + k]! * l.data[j * n + k]!;
      const entry = sum / pivot;
      l.data[row + j] = entry;
      left -= entry * entry;
    }
    if (left > NEGLIGIBLE * data[row + i]!) l.data[row + i] = Math.sqrt(left);
  }
  return l;
}

/**
 * Returns L⁻¹ of a lower triangular L. Rows and columns with a zero on the diagonal are skipped: they are zero in the
 * result.
 */
function inverseOfLower(l: Matrix): Matrix {
  const n = l.rows;
  const inverse = zeros(n, n);
  for (let i = 0; i < n; i++) {
    const pivot = l.data[i * n + i]!;
    if (pivot === 0) continue;
    const row = i * n;
    for (let k = 0; k < i; k++) {
      const factor = l.data[row + k]! / pivot;
      if (factor === 0) continue;
      for (let j = 0; j <= k; j++) inverse.data[row + j]! -= factor * inverse.data[k * n + j]!;
    }
    inverse.data[row + i] = 1 / pivot;
  }
  return inverse;
}
