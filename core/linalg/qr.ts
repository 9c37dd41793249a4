import { transpose, zeros, type Matrix } from './matrix.ts';

/**
 * Thin QR factors of a matrix, A = Q R: orthonormal columns in Q [rows, p] and upper trapezoidal R [p, cols], p =
 * min(rows, cols).
 */
export interface QrFactors {
  readonly q: Matrix;
  readonly r: Matrix;
}

/**
 * Thin QR factorization by Householder reflections (Golub and Van Loan, Matrix Computations, 4th edition, section 5.2).
 * Q is orthonormal to rounding even where A is rank-deficient. Signs of R's diagonal are not normalized.
 */
export function qr(a: Matrix): QrFactors {
  const p = Math.min(a.rows, a.cols);
  // Columns are rows of the transpose, so that reflections run over contiguous memory.
  const work = transpose(a).data;
  const betas = new Float64Array(p);
  for (let j = 0; j < p; j++) {
    betas[j] = formReflector(work, j * a.rows + j, a.rows - j);
    const head = work[j * a.rows + j]!;
    work[j * a.rows + j] = 1;
    for (let k = j + 1; k < a.cols; k++) {
      reflect(work, j * a.rows + j, betas[j]!, work, k * a.rows + j, a.rows - j);
    }
    work[j * a.rows + j] = head;
  }
  return { q: formQ(work, betas, a.rows), r: upperTriangle(work, a.rows, p, a.cols) };
}

/**
 * Overwrites x = work[start, start + length) with its reflector: afterwards x[0] is the entry of R, and x[1…] is the
 * reflector v without v[0] = 1.
 * @returns beta of H = I − beta · v vᵀ, or 0 if there is nothing to reflect
 */
function formReflector(work: Float64Array, start: number, length: number): number {
  let tail = 0;
  for (let i = 1; i < length; i++) tail += work[start + i]! ** 2;
  const x0 = work[start]!;
  if (tail === 0) return 0;
  const norm = Math.sqrt(x0 * x0 + tail);
  const v0 = x0 <= 0 ? x0 - norm : -tail / (x0 + norm);
  for (let i = 1; i < length; i++) work[start + i]! /= v0;
  work[start] = norm;
  return (2 * v0 * v0) / (tail + v0 * v0);
}

/** Subtracts beta · v (vᵀ y) from y, for v and y of the given length at their offsets. */
function reflect(v: Float64Array, vAt: number, beta: number, y: Float64Array, yAt: number, length: number): void {
  if (beta === 0) return;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += v[vAt + i]! * y[yAt + i]!;
  const factor = beta * sum;
  for (let i = 0; i < length; i++) y[yAt + i]! -= factor * v[vAt + i]!;
}

/** Forms Q by applying the reflectors, last to first, to the first p columns of the identity. */
function formQ(work: Float64Array, betas: Float64Array, rows: number): Matrix {
  const p = betas.length;
  const columnsOfQ = zeros(p, rows);
  for (let j = p - 1; j >= 0; j--) {
    columnsOfQ.data[j * rows + j] = 1;
    const start = j * rows + j;
    const head = work[start]!;
    work[start] = 1;
    for (let k = j; k < p; k++) reflect(work, start, betas[j]!, columnsOfQ.data, k * rows + j, rows - j);
    work[start] = head;
  }
  return transpose(columnsOfQ);
}

function upperTriangle(work: Float64Array, rows: number, p: number, cols: number): Matrix {
  const r = zeros(p, cols);
  for (let i = 0; i < p; i++) {
    for (let j = i; j < cols; j++) r.data[i * cols + j] = work[j * rows + i]!;
  }
  return r;
}
