import { diagonalize } from './diagonalize.ts';
import { bidiagonalize } from './bidiagonal.ts';
import { matmul } from '../matmul.ts';
import { requireEqual, scaleAll, scaleColumns, transpose, zeros, type Matrix } from '../matrix.ts';
import { qr } from '../qr.ts';
import type { Rotations } from './rotations.ts';

/** Thin SVD, A = U diag(S) Vᵀ with U [rows, p], S [p] descending, V [cols, p], p = min(rows, cols). */
export interface SvdFactors {
  readonly u: Matrix;
  readonly s: Float64Array;
  readonly v: Matrix;
}

/**
 * Singular value decomposition by Householder reflections to bidiagonal form and QR steps on that, after a QR
 * factorization if A is not square (Golub and Reinsch, Numerische Mathematik 14, 1970; Chan, ACM TOMS 8, 1982). It is
 * meant for matrices of up to some hundreds of columns. The error of a singular value is a few ε times the largest.
 * @throws RangeError if an entry is not finite
 */
export function svd(a: Matrix): SvdFactors {
  requireFinite(a);
  if (a.rows < a.cols) {
    const { u, s, v } = svd(transpose(a));
    return { u: v, s, v: u };
  }
  const { q, r } = a.rows > a.cols ? qr(a) : { q: null, r: a };
  const { s, left, right } = decompose(r, true);
  const u = left(r.cols);
  return { u: q ? matmul(q, u) : u, s, v: right(r.cols) };
}

/**
 * Computes the leading `rank` singular triplets of a square matrix (at most its number of rows) for less work than
 * {@link svd}, since only these triplets are formed, and U is computed as A V S⁻¹. U S Vᵀ = A V Vᵀ is the best
 * approximation of that rank to rounding; the columns of U are orthonormal to about ε · S[0] / S[i].
 * @returns the triplets and all singular values
 */
export function truncatedSvd(a: Matrix, rank: number): SvdFactors & { readonly all: Float64Array } {
  requireEqual('truncatedSvd', 'rows and columns', a.rows, a.cols);
  requireFinite(a);
  const { s: all, right } = decompose(a, false);
  const kept = Math.min(rank, a.cols);
  const v = right(kept);
  const s = all.slice(0, kept);
  const u = scaleColumns(
    matmul(a, v),
    s.map((value) => (value === 0 ? 0 : 1 / value)),
  );
  return { u, s, v, all };
}

/**
 * Checks that all entries of a matrix are finite.
 * @throws RangeError if an entry is not
 */
export function requireFinite(a: Matrix): void {
  let sum = 0;
  // oxlint-disable-next-line oxc/erasing-op -- infinity and NaN times 0 are NaN
  for (let i = 0; i < a.data.length; i++) sum += a.data[i]! * 0;
  if (sum !== 0) throw new RangeError('svd: the matrix has an entry that is not finite');
}

interface SquareSvd {
  /** [n] all singular values, descending */
  readonly s: Float64Array;
  /**
   * Returns the singular vectors, left or right, of the `count` largest singular values, [n, count]. Left ones are
   * available only with `withLeft`.
   */
  left(count: number): Matrix;
  right(count: number): Matrix;
}

/**
 * Computes the SVD of a square matrix. Entries are scaled to 1 at most, so that their squares neither overflow nor
 * underflow.
 */
function decompose(a: Matrix, withLeft: boolean): SquareSvd {
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) largest = Math.max(largest, Math.abs(a.data[i]!));
  const scale = largest === 0 ? 1 : largest;
  const { diagonal, superdiagonal, applyLeft, applyRight } = bidiagonalize(scaleAll(a, 1 / scale));
  const { s, left, right, signs } = diagonalize(diagonal, superdiagonal, withLeft);
  const order = [...s.keys()].sort((i, j) => s[j]! - s[i]!);
  const vectors = (
    count: number,
    rotations: Rotations | null,
    apply: (w: Matrix) => void,
    sign: (row: number) => number,
  ) => {
    const w = zeros(s.length, count);
    order.slice(0, count).forEach((row, k) => (w.data[row * count + k] = sign(row)));
    rotations?.applyTransposed(w);
    apply(w);
    return w;
  };
  return {
    s: Float64Array.from(order, (i) => scale * s[i]!),
    left: (count) => vectors(count, left, applyLeft, () => 1),
    right: (count) => vectors(count, right, applyRight, (row) => signs[row]!),
  };
}
