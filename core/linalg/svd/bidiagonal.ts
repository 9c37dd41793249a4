import type { Matrix } from '../matrix.ts';

/** A = L B Rᵀ with orthogonal L and R, and B upper bidiagonal; all are square of size n. */
export interface Bidiagonal {
  /** [n] */
  readonly diagonal: Float64Array;
  /** [n − 1] the entries right of the diagonal. */
  readonly superdiagonal: Float64Array;
  /** Replaces w, [n, any number of columns], by L w. */
  applyLeft(w: Matrix): void;
  /** Replaces w, [n, any number of columns], by R w. */
  applyRight(w: Matrix): void;
}

/**
 * Makes a square matrix bidiagonal by Householder reflections from both sides (Golub and Van Loan, Matrix Computations, 4th
 * edition, section 5.4.8).
 */
export function bidiagonalize(a: Matrix): Bidiagonal {
  const n = a.rows;
  const work = { ...a, data: a.data.slice() };
  const diagonal = new Float64Array(n);
  const superdiagonal = new Float64Array(Math.max(0, n - 1));
  const left: Reflector[] = [];
  const right: Reflector[] = [];
  for (let j = 0; j < n; j++) {
    const column = reflectorOf(Float64Array.from({ length: n - j }, (_, i) => work.data[(j + i) * n + j]!));
    diagonal[j] = column.length;
    left.push(column);
    if (j + 1 === n) break;
    reflectRows(work, j, j + 1, column);
    const row = reflectorOf(work.data.slice(j * n + j + 1, (j + 1) * n));
    superdiagonal[j] = row.length;
    right.push(row);
    reflectColumns(work, j + 1, row);
  }
  return {
    diagonal,
    superdiagonal,
    applyLeft: (w) => left.reduceRight<void>((_, reflector, j) => reflectRows(w, j, 0, reflector), undefined),
    applyRight: (w) => right.reduceRight<void>((_, reflector, j) => reflectRows(w, j + 1, 0, reflector), undefined),
  };
}

/** H = I − beta · v vᵀ with H x = length · (1, 0, …, 0)ᵀ. */
interface Reflector {
  readonly v: Float64Array;
  /** 0 where nothing has to be reflected. */
  readonly beta: number;
  /** ±‖x‖ */
  readonly length: number;
}

/** Makes the reflector of x, which becomes v. */
function reflectorOf(x: Float64Array): Reflector {
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

/** Applies a reflector from the left to the rows from `top` on, in the columns from `start` on. */
function reflectRows({ rows, cols, data }: Matrix, top: number, start: number, { v, beta }: Reflector): void {
  if (beta === 0) return;
  const sums = new Float64Array(cols);
  for (let i = top; i < rows; i++) {
    const factor = v[i - top]!;
    for (let k = start, at = i * cols + start; k < cols; k++, at++) sums[k]! += factor * data[at]!;
  }
  for (let i = top; i < rows; i++) {
    const factor = beta * v[i - top]!;
    for (let k = start, at = i * cols + start; k < cols; k++, at++) data[at]! -= factor * sums[k]!;
  }
}

/** Applies a reflector from the right to the rows and columns from `start` on. */
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
