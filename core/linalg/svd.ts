import { qr } from './qr.ts';
import { dotWithin, matmul } from './matmul.ts';
import { columns, identity, rowOf, scaleColumns, transpose, zeros, type Matrix } from './matrix.ts';

/** A = U diag(S) Vᵀ with U [rows, p], S [p] descending, V [cols, p], p = min(rows, cols). */
export interface SvdFactors {
  readonly u: Matrix;
  readonly s: Float64Array;
  readonly v: Matrix;
}

const MAX_SWEEPS = 60;

/**
 * Singular value decomposition by one-sided Jacobi rotations, preconditioned by a QR (Drmač and Veselić, New fast and
 * accurate Jacobi SVD algorithm, SIAM J. Matrix Anal. Appl. 29, 2008; without their column pivoting). It is meant for
 * matrices of up to some hundreds of columns. Columns of U and V that belong to singular values of zero are zero.
 * @throws RangeError if an entry is not finite
 */
export function svd(a: Matrix): SvdFactors {
  requireFinite(a);
  if (a.rows < a.cols) {
    const { u, s, v } = svd(transpose(a));
    return { u: v, s, v: u };
  }
  const { q, r } = qr(a);
  // The columns of Rᵀ, which are the rows of R as they lie in memory, are nearer to orthogonal than those of R. Rotating
  // them gives Rᵀ W = X S, hence R = W S Xᵀ and A = (Q W) S Xᵀ.
  const rotations = identity(r.rows);
  const { s, normalized, order } = sortByNorm(orthogonalizeRows(r, rotations));
  return { u: matmul(q, transpose(pickRows(rotations, order, s))), s, v: transpose(normalized) };
}

/**
 * Computes the leading `rank` singular triplets (fewer where the matrix has fewer rows or columns) for about half the work
 * of {@link svd}, since the rotations are not accumulated and U is A V S⁻¹. U S Vᵀ = A V Vᵀ is the best approximation of
 * that rank to rounding; the columns of U are orthonormal to about ε · S[0] / S[i].
 * @returns the triplets and all singular values
 */
export function truncatedSvd(a: Matrix, rank: number): SvdFactors & { readonly all: Float64Array } {
  requireFinite(a);
  const { s: all, normalized } = sortByNorm(orthogonalizeRows(qr(a).r, null));
  const kept = Math.min(rank, all.length);
  const v = columns(transpose(normalized), 0, kept);
  const s = all.slice(0, kept);
  const u = scaleColumns(
    matmul(a, v),
    s.map((value) => (value === 0 ? 0 : 1 / value)),
  );
  return { u, s, v, all };
}

function requireFinite(a: Matrix): void {
  if (!a.data.every(Number.isFinite)) throw new RangeError('svd: the matrix has an entry that is not finite');
}

/** Rotates pairs of rows of `a` until all are orthogonal; `rotations`, if given, is multiplied by the same rotations in place. */
function orthogonalizeRows(a: Matrix, rotations: Matrix | null): Matrix {
  const rotated = { ...a, data: a.data.slice() };
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    if (!sweepPairs(rotated, rotations)) return rotated;
  }
  throw new Error(`svd: no convergence after ${MAX_SWEEPS} sweeps of a ${a.rows} × ${a.cols} matrix`);
}

/** Sweeps once over all pairs of rows. @returns whether any was rotated */
function sweepPairs(rotated: Matrix, rotations: Matrix | null): boolean {
  const { rows, cols, data } = rotated;
  const tolerance = Number.EPSILON * Math.sqrt(cols);
  const squares = new Float64Array(rows);
  for (let i = 0; i < rows; i++) squares[i] = dotWithin(data, i * cols, i * cols, cols);
  // Rows that are rounding noise beside the largest row are not rotated.
  const floor = Number.EPSILON ** 2 * squares.reduce((most, square) => Math.max(most, square), 0);
  let changed = false;
  for (let p = 0; p < rows - 1; p++) {
    for (let q = p + 1; q < rows; q++) {
      const cross = dotWithin(data, p * cols, q * cols, cols);
      if (Math.abs(cross) <= Math.max(floor, tolerance * Math.sqrt(squares[p]! * squares[q]!))) continue;
      changed = true;
      const { cosine, sine, tangent } = jacobiRotation(squares[p]!, squares[q]!, cross);
      rotateRows(data, p * cols, q * cols, cols, cosine, sine);
      if (rotations) rotateRows(rotations.data, p * rows, q * rows, rows, cosine, sine);
      squares[p] = Math.max(0, squares[p]! - tangent * cross);
      squares[q] = Math.max(0, squares[q]! + tangent * cross);
    }
  }
  return changed;
}

/** Returns the rotation that makes two rows with squared norms `p`, `q` and inner product `cross` orthogonal. */
function jacobiRotation(p: number, q: number, cross: number): { cosine: number; sine: number; tangent: number } {
  const zeta = (q - p) / (2 * cross);
  const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  return { cosine, sine: cosine * tangent, tangent };
}

function rotateRows(data: Float64Array, x: number, y: number, length: number, cosine: number, sine: number): void {
  for (let i = 0; i < length; i++) {
    const left = data[x + i]!;
    const right = data[y + i]!;
    data[x + i] = cosine * left - sine * right;
    data[y + i] = sine * left + cosine * right;
  }
}

/** Sorts the row norms in descending order and divides the rows by them, in that order; rows of norm 0 stay 0. */
function sortByNorm(rows: Matrix): { s: Float64Array; normalized: Matrix; order: number[] } {
  const { cols, data } = rows;
  const norms = Array.from({ length: rows.rows }, (_, i) => Math.sqrt(dotWithin(data, i * cols, i * cols, cols)));
  const sorted = [...norms.entries()].sort(([, a], [, b]) => b - a);
  const normalized = zeros(rows.rows, cols);
  for (const [to, [from, norm]] of sorted.entries()) {
    if (norm === 0) continue;
    for (let j = 0; j < cols; j++) normalized.data[to * cols + j] = data[from * cols + j]! / norm;
  }
  return { s: Float64Array.from(sorted, ([, norm]) => norm), normalized, order: sorted.map(([from]) => from) };
}

/** Copies rows in the given order, except those that belong to singular values of zero, which stay zero. */
function pickRows(rows: Matrix, order: readonly number[], s: Float64Array): Matrix {
  const out = zeros(rows.rows, rows.cols);
  for (const [to, from] of order.entries()) if (s[to] !== 0) out.data.set(rowOf(rows, from), to * rows.cols);
  return out;
}
