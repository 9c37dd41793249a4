import { requireEqual, zeros, type Matrix } from '../matrix.ts';
import { Rotations } from './rotations.ts';
import { tridiagonalize } from './tridiagonal.ts';

/** Upper bound of QR steps for one eigenvalue; one or two are usual. */
const MAX_STEPS = 75;

interface LeadingEigenvectors {
  /** [n] all eigenvalues, descending. */
  readonly values: Float64Array;
  /** [n, count] orthonormal eigenvectors of the largest eigenvalues, one in each column. */
  readonly vectors: Matrix;
}

/** Rotations of the current decomposition. They take more memory than the matrix, so the memory is reused. */
const rotations = new Rotations();

/**
 * Computes all eigenvalues of a symmetric matrix and the eigenvectors of the largest ones, by Householder reflections
 * to tridiagonal form and implicitly shifted QR steps on that (Golub and Van Loan, Matrix Computations, 4th edition,
 * algorithms 8.3.1 to 8.3.3). Only the requested vectors are formed. The error of an eigenvalue is a few ε times the
 * largest magnitude of an eigenvalue, and each vector rotates by this error divided by the distance of its eigenvalue
 * to the nearest other one.
 * @param a [n, n] finite entries, of which only the upper triangle is read; overwritten
 * @param count number of vectors, at most n
 */
export function leadingEigenvectors(a: Matrix, count: number): LeadingEigenvectors {
  requireEqual('leadingEigenvectors', 'rows and columns', a.rows, a.cols);
  const { diagonal, offDiagonal, apply } = tridiagonalize(a);
  rotations.clear();
  diagonalize(diagonal, offDiagonal, rotations);
  const order = [...diagonal.keys()].sort((i, j) => diagonal[j]! - diagonal[i]!);
  const vectors = zeros(a.rows, count);
  order.slice(0, count).forEach((row, k) => (vectors.data[row * count + k] = 1));
  rotations.applyTransposed(vectors);
  apply(vectors);
  return { values: diagonal.toSorted().reverse(), vectors };
}

/**
 * Turns a symmetric tridiagonal matrix T into a diagonal one, Gᵀ diag(d) G with rotations G that are appended.
 * @param d [n] the diagonal; overwritten with the eigenvalues, in no particular order
 * @param e [n − 1] the entries beside the diagonal; overwritten
 */
function diagonalize(d: Float64Array, e: Float64Array, appended: Rotations): void {
  let largest = 0;
  for (const value of d) largest = Math.max(largest, Math.abs(value));
  for (const value of e) largest = Math.max(largest, Math.abs(value));
  // Rounding has already moved every eigenvalue by about this much.
  const noise = (Number.EPSILON / 2) * largest;
  for (let last = d.length - 1, steps = 0; last > 0;) {
    let first = last;
    while (first > 0 && Math.abs(e[first - 1]!) > noise) first--;
    if (first === last) {
      last--;
      steps = 0;
    } else {
      if (++steps > MAX_STEPS)
        throw new Error(`eigenvalues: no convergence after ${MAX_STEPS} steps, size ${d.length}`);
      qrStep(d, e, first, last, appended);
    }
  }
}

/** One QR step on the block [first, last], whose entries beside the diagonal all differ from zero. */
function qrStep(d: Float64Array, e: Float64Array, first: number, last: number, appended: Rotations): void {
  let x = d[first]! - shiftOf(d[last - 1]!, e[last - 1]!, d[last]!);
  let bulge = e[first]!;
  for (let k = first; k < last; k++) {
    const length = Math.sqrt(x * x + bulge * bulge);
    // Both are zero if the shift equals an eigenvalue to rounding; the step is then complete.
    if (length === 0) return;
    const inverse = 1 / length;
    const cosine = x * inverse;
    const sine = bulge * inverse;
    if (k > first) e[k - 1] = length;
    const upper = d[k]!;
    const beside = e[k]!;
    const lower = d[k + 1]!;
    const moved = sine * (sine * (lower - upper) + 2 * cosine * beside);
    d[k] = upper + moved;
    d[k + 1] = lower - moved;
    x = cosine * sine * (lower - upper) + (cosine * cosine - sine * sine) * beside;
    e[k] = x;
    if (k + 1 < last) {
      bulge = sine * e[k + 1]!;
      e[k + 1]! *= cosine;
    }
    appended.push(k, k + 1, cosine, sine);
  }
}

/** Returns the eigenvalue of [[upper, beside], [beside, lower]] that is nearer to `lower` (Wilkinson's shift). */
function shiftOf(upper: number, beside: number, lower: number): number {
  const half = (upper - lower) / 2;
  const root = Math.sqrt(half * half + beside * beside);
  return lower - (beside * beside) / (half + (half < 0 ? -root : root));
}
