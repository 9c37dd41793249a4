import { Rotations } from './rotations.ts';

/** Upper bound of QR steps for one singular value; two or three are usual. */
const MAX_STEPS = 75;

/**
 * Diagonal form of an upper bidiagonal matrix: B = Xᵀ diag(S) Y, where X and Y are the products of rotations and Y is
 * multiplied by the signs, row by row.
 */
export interface DiagonalForm {
  /** [n] singular values, not negative and in no particular order. */
  readonly s: Float64Array;
  /** Rotations whose product is X; null unless `withLeft` was set. */
  readonly left: Rotations | null;
  readonly right: Rotations;
  /** [n] signs 1 or −1, by which the rows of Y are multiplied */
  readonly signs: Float64Array;
}

/**
 * Turns an upper bidiagonal matrix into a diagonal one by implicitly shifted QR steps (Golub and Kahan, SIAM J. Numer.
 * Anal. 2, 1965; Golub and Van Loan, Matrix Computations, 4th edition, algorithms 8.6.1 and 8.6.2). The error of a
 * value is a few ε times the largest, which should be near 1.
 * @param diagonal [n]; overwritten
 * @param superdiagonal [n − 1]; overwritten
 * @param withLeft whether to record the left rotations
 */
export function diagonalize(diagonal: Float64Array, superdiagonal: Float64Array, withLeft: boolean): DiagonalForm {
  const work: Work = { d: diagonal, e: superdiagonal, left: withLeft ? new Rotations() : null, right: new Rotations() };
  const noise = Number.EPSILON ** 2 * largestOf(diagonal, superdiagonal);
  for (let last = diagonal.length - 1, steps = 0; last > 0;) {
    const first = startOfBlock(work, last, noise);
    if (first === last) {
      last--;
      steps = 0;
    } else {
      if (++steps > MAX_STEPS) throw new Error(`svd: no convergence after ${MAX_STEPS} steps, size ${diagonal.length}`);
      const zero = zeroWithin(diagonal, first, last, noise);
      if (zero === null) qrStep(work, first, last);
      else if (zero === last) clearColumn(work, first, last);
      else clearRow(work, zero, last);
    }
  }
  const signs = diagonal.map((value) => (value < 0 ? -1 : 1));
  return { s: diagonal.map(Math.abs), left: work.left, right: work.right, signs };
}

interface Work {
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly left: Rotations | null;
  readonly right: Rotations;
}

function largestOf(d: Float64Array, e: Float64Array): number {
  let most = 0;
  for (const value of d) most = Math.max(most, Math.abs(value));
  for (const value of e) most = Math.max(most, Math.abs(value));
  return most;
}

/**
 * Returns the first position of the block that ends at `last` and has no negligible superdiagonal entry. Sets the entry
 * before that block to zero.
 */
function startOfBlock({ d, e }: Work, last: number, noise: number): number {
  for (let i = last - 1; i >= 0; i--) {
    const scale = Math.abs(d[i]!) + Math.abs(d[i + 1]!);
    if (Math.abs(e[i]!) > Math.max(Number.EPSILON * scale, noise)) continue;
    e[i] = 0;
    return i + 1;
  }
  return 0;
}

/**
 * Returns the last position of a block whose diagonal entry is rounding noise, after setting it to zero; null if there
 * is none.
 */
function zeroWithin(d: Float64Array, first: number, last: number, noise: number): number | null {
  for (let i = last; i >= first; i--) {
    if (Math.abs(d[i]!) > noise) continue;
    d[i] = 0;
    return i;
  }
  return null;
}

/** Clears the superdiagonal entry above a zero at the end of the diagonal, by rotations of columns. */
function clearColumn({ d, e, right }: Work, first: number, last: number): void {
  let bulge = e[last - 1]!;
  e[last - 1] = 0;
  for (let j = last - 1; j >= first; j--) {
    const length = norm(d[j]!, bulge);
    const cosine = d[j]! / length;
    const sine = bulge / length;
    d[j] = length;
    if (j > first) {
      bulge = -sine * e[j - 1]!;
      e[j - 1]! *= cosine;
    }
    right.push(j, last, cosine, sine);
  }
}

/** Clears the superdiagonal entry right of a zero on the diagonal, by rotations of rows. */
function clearRow({ d, e, left }: Work, zero: number, last: number): void {
  let bulge = e[zero]!;
  e[zero] = 0;
  for (let j = zero + 1; j <= last; j++) {
    const length = norm(d[j]!, bulge);
    const cosine = d[j]! / length;
    const sine = bulge / length;
    d[j] = length;
    if (j < last) {
      bulge = -sine * e[j]!;
      e[j]! *= cosine;
    }
    left?.push(j, zero, cosine, sine);
  }
}

/** One QR step on a block whose bidiagonal entries are all different from zero. */
function qrStep({ d, e, left, right }: Work, first: number, last: number): void {
  let [f, g] = firstRotation(d, e, first, last);
  for (let k = first; k < last; k++) {
    let length = norm(f, g);
    let cosine = f / length;
    let sine = g / length;
    if (k > first) e[k - 1] = length;
    f = cosine * d[k]! + sine * e[k]!;
    e[k] = cosine * e[k]! - sine * d[k]!;
    g = sine * d[k + 1]!;
    d[k + 1]! *= cosine;
    right.push(k, k + 1, cosine, sine);

    length = norm(f, g);
    cosine = f / length;
    sine = g / length;
    d[k] = length;
    f = cosine * e[k]! + sine * d[k + 1]!;
    d[k + 1] = cosine * d[k + 1]! - sine * e[k]!;
    if (k + 1 < last) {
      g = sine * e[k + 1]!;
      e[k + 1]! *= cosine;
    }
    left?.push(k, k + 1, cosine, sine);
  }
  e[last - 1] = f;
}

/**
 * Returns the first column of BᵀB − μ I up to a factor, where μ is the eigenvalue of the trailing 2 × 2 block of BᵀB
 * that is nearer to the last entry (Wilkinson's shift). Entries are scaled, so that squares neither overflow nor
 * underflow.
 */
function firstRotation(d: Float64Array, e: Float64Array, first: number, last: number): [f: number, g: number] {
  const before = last - 1 > first ? e[last - 2]! : 0;
  const scale = Math.max(
    Math.max(Math.abs(d[last]!), Math.abs(d[last - 1]!), Math.abs(e[last - 1]!)),
    Math.max(Math.abs(d[first]!), Math.abs(e[first]!), Math.abs(before)),
  );
  const dl = d[last]! / scale;
  const dm = d[last - 1]! / scale;
  const em = e[last - 1]! / scale;
  const ef = before / scale;
  const d0 = d[first]! / scale;
  const e0 = e[first]! / scale;
  const half = (dm * dm + ef * ef - (dl * dl + em * em)) / 2;
  const product = dm * em;
  const root = norm(half, product) * (half < 0 ? -1 : 1);
  const shift = dl * dl + em * em - (product === 0 ? 0 : (product * product) / (half + root));
  return [d0 * d0 - shift, d0 * e0];
}

/**
 * Computes √(x² + y²), much faster than `Math.hypot`. Entries in this module are near 1, so their squares neither
 * overflow nor underflow.
 */
function norm(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}
