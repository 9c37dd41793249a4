import type { Matrix } from '../matrix.ts';

/**
 * Bidiagonal form of a square matrix, A = L B Rᵀ with orthogonal L and R, and B upper bidiagonal; all are of size n.
 */
export interface Bidiagonal {
  /** [n] diagonal entries of B */
  readonly diagonal: Float64Array;
  /** [n − 1] entries of B right of its diagonal */
  readonly superdiagonal: Float64Array;
  /** Replaces w, [n, any number of columns], by L w. */
  applyLeft(w: Matrix): void;
  /** Replaces w, [n, any number of columns], by R w. */
  applyRight(w: Matrix): void;
}

/**
 * Makes a square matrix bidiagonal by Householder reflections from both sides (Golub and Van Loan, Matrix Computations,
 * 4th edition, section 5.4.8).
 */
export function bidiagonalize(a: Matrix): Bidiagonal {
  const n = a.rows;
  const work = { ...a, data: a.data.slice() };
  const diagonal = new Float64Array(n);
  const superdiagonal = new Float64Array(Math.max(0, n - 1));
  const sums = new Float64Array(n);
  const left: Reflector[] = [];
  const right: Reflector[] = [];
  for (let j = 0; j < n; j++) {
    const column = reflectorOf(work.data, j * n + j, n, n - j);
    diagonal[j] = column.length;
    left.push(column);
    if (j + 1 === n) break;
    reflectRows(work, j, j + 1, column, sums);
    const row = reflectorOf(work.data, j * n + j + 1, 1, n - j - 1);
    superdiagonal[j] = row.length;
    right.push(row);
    reflectColumns(work, j + 1, row);
  }
  return {
    diagonal,
    superdiagonal,
    applyLeft: (w) => applyBackwards(left, 0, w),
    applyRight: (w) => applyBackwards(right, 1, w),
  };
}

/** Householder reflection H = I − beta · v vᵀ of a vector x, with H x = length · (1, 0, …, 0)ᵀ. */
interface Reflector {
  readonly v: Float64Array;
  /** Factor of the reflection; 0 if x needs none. */
  readonly beta: number;
  /** First entry of H x, ±‖x‖. */
  readonly length: number;
}

/** Replaces w by H₁ H₂ … w, where H_j changes the rows from j + offset on. */
function applyBackwards(reflectors: readonly Reflector[], offset: number, w: Matrix): void {
  const sums = new Float64Array(w.cols);
  for (let j = reflectors.length - 1; j >= 0; j--) reflectRows(w, j + offset, 0, reflectors[j]!, sums);
}

/** Makes the reflection of a vector: `count` entries of `data` from `start` on, `stride` apart. */
function reflectorOf(data: Float64Array, start: number, stride: number, count: number): Reflector {
  const x = new Float64Array(count);
  for (let i = 0, at = start; i < count; i++, at += stride) x[i] = data[at]!;
  let tail = 0;
  for (let i = 1; i < x.length; i++) tail += x[i]! * x[i]!;
  const head = x[0]!;
  x[0] = 1;
  if (tail === 0) return { v: x, beta: 0, length: head };
  const length = Math.sqrt(head * head + tail);
  const first = head <= 0 ? head - length : -tail / (head + length);
  for (let i = 1; i < x.length; i++) x[i]! /= first;
  return { v: x, beta: (2 * first * first) / (tail + first * first), length };
}

/**
 * Multiplies a part of the matrix by a reflection from the left: to the rows from `top` on, in the columns from `start`
 * on.
 * @param sums scratch space, one number for each column
 */
function reflectRows(w: Matrix, top: number, start: number, { v, beta }: Reflector, sums: Float64Array): void {
  if (beta === 0) return;
  const { rows, cols, data } = w;
  sums.fill(0);
  for (let i = top; i < rows; i++) {
    const factor = v[i - top]!;
    for (let k = start, at = i * cols + start; k < cols; k++, at++) sums[k]! += factor * data[at]!;
  }
  for (let i = top; i < rows; i++) {
    const factor = beta * v[i - top]!;
    for (let k = start, at = i * cols + start; k < cols; k++, at++) data[at]! -= factor * sums[k]!;
  }
}

/** Multiplies a part of the matrix by a reflection from the right: the rows and columns from `start` on. */
function reflectColumns({ rows, cols, data }: Matrix, start: number, { v, beta }: Reflector): void {
  if (beta === 0) return;
  for (let i = start; i < rows; i++) {
    const at = i * cols + start;
    let sum = 0;
    for (let k = 0; k < v.length; k++) sum += v[k]! * data[at + k]!;
    const factor = beta * sum;
    for (let k = 0; k < v.length; k++) data[at + k]! -= factor * v[k]!;
  }
}
