import type { Matrix } from '../matrix.ts';

/** Tridiagonal form of a symmetric matrix, A = Q T Qᵀ with orthogonal Q and symmetric tridiagonal T, all of size n. */
export interface Tridiagonal {
  /** [n] diagonal entries of T */
  readonly diagonal: Float64Array;
  /** [n − 1] entries of T beside its diagonal */
  readonly offDiagonal: Float64Array;
  /** Replaces w, [n, any number of columns], by Q w. */
  apply(w: Matrix): void;
}

/**
 * Makes a symmetric matrix tridiagonal by Householder reflections (Golub and Van Loan, Matrix Computations, 4th
 * edition, algorithm 8.3.1).
 * @param a only the upper triangle is read; it is overwritten with the reflectors, so `apply` needs it unchanged
 */
export function tridiagonalize(a: Matrix): Tridiagonal {
  const n = a.rows;
  const work = a.data;
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(Math.max(0, n - 1));
  const betas = new Float64Array(Math.max(0, n - 1));
  const w = new Float64Array(n);
  for (let j = 0; j + 1 < n; j++) {
    diagonal[j] = work[j * n + j]!;
    betas[j] = formReflector(work, j * n + j + 1, n - j - 1, offDiagonal, j);
    if (betas[j] !== 0) reflectBothSides(work, n, j, betas[j]!, w);
  }
  if (n > 0) diagonal[n - 1] = work[n * n - 1]!;
  return { diagonal, offDiagonal, apply: (columns) => applyReflectors(work, n, betas, columns) };
}

/**
 * Overwrites x = work[start, start + length) with v of the reflector H = I − beta · v vᵀ, for which H x = ±‖x‖ (1, 0,
 * …, 0)ᵀ, and stores ±‖x‖ in lengths[j].
 * @returns beta, or 0 if there is nothing to reflect
 */
function formReflector(work: Float64Array, start: number, length: number, lengths: Float64Array, j: number): number {
  const head = work[start]!;
  let tail = 0;
  for (let i = start + 1; i < start + length; i++) tail += work[i]! * work[i]!;
  lengths[j] = head;
  if (tail === 0) return 0;
  const norm = Math.sqrt(head * head + tail);
  const first = head <= 0 ? head - norm : -tail / (head + norm);
  const scale = 1 / first;
  work[start] = 1;
  for (let i = start + 1; i < start + length; i++) work[i]! *= scale;
  lengths[j] = norm;
  return (2 * first * first) / (tail + first * first);
}

/**
 * Replaces the trailing block A by H A H = A − v wᵀ − w vᵀ with w = p − ½ beta (pᵀv) v and p = beta · A v, for the
 * reflector v in row j. Rows are processed from j + 1 on, each from its diagonal entry to the right.
 */
function reflectBothSides(work: Float64Array, n: number, j: number, beta: number, w: Float64Array): void {
  // v[i] is at work[v + i].
  const v = j * n;
  w.fill(0, j + 1);
  for (let i = j + 1; i < n; i++) {
    const row = i * n;
    const vi = work[v + i]!;
    let sum = work[row + i]! * vi;
    for (let k = i + 1; k < n; k++) {
      const entry = work[row + k]!;
      sum += entry * work[v + k]!;
      w[k]! += entry * vi;
    }
    w[i]! += sum;
  }
  let product = 0;
  for (let i = j + 1; i < n; i++) product += w[i]! * work[v + i]!;
  const share = (beta * beta * product) / 2;
  for (let i = j + 1; i < n; i++) w[i] = beta * w[i]! - share * work[v + i]!;
  for (let i = j + 1; i < n; i++) {
    const row = i * n;
    const vi = work[v + i]!;
    const wi = w[i]!;
    for (let k = i; k < n; k++) work[row + k]! -= vi * w[k]! + wi * work[v + k]!;
  }
}

/** Multiplies a matrix from the left by the reflections H₀ H₁ …, where H_j changes the rows from j + 1 on. */
function applyReflectors(work: Float64Array, n: number, betas: Float64Array, { cols, data }: Matrix): void {
  const sums = new Float64Array(cols);
  for (let j = n - 2; j >= 0; j--) {
    if (betas[j] === 0) continue;
    sums.fill(0);
    for (let i = j + 1; i < n; i++) {
      const factor = work[j * n + i]!;
      for (let k = 0, at = i * cols; k < cols; k++, at++) sums[k]! += factor * data[at]!;
    }
    for (let i = j + 1; i < n; i++) {
      const factor = betas[j]! * work[j * n + i]!;
      for (let k = 0, at = i * cols; k < cols; k++, at++) data[at]! -= factor * sums[k]!;
    }
  }
}
