import { requireEqual, rowOf, transpose, zeros, type Matrix } from './matrix.ts';

/**
 * Product a · b of two matrices. Four rows of b are added at a time, so that every element of the result is loaded and
 * stored once for four multiplications. The inner loop runs over contiguous memory.
 */
export function matmul(a: Matrix, b: Matrix): Matrix {
  requireEqual('matmul', 'inner dimensions', a.cols, b.rows);
  const out = zeros(a.rows, b.cols);
  for (let i = 0; i < a.rows; i++) accumulateRow(rowOf(out, i), a.data, i * a.cols, 1, b);
  return out;
}

/** Product aᵀ · b, computed without forming aᵀ. */
export function transposedMatmul(a: Matrix, b: Matrix): Matrix {
  requireEqual('transposedMatmul', 'inner dimensions', a.rows, b.rows);
  const out = zeros(a.cols, b.cols);
  for (let i = 0; i < a.cols; i++) accumulateRow(rowOf(out, i), a.data, i, a.cols, b);
  return out;
}

/** Product a · bᵀ. */
export function matmulTransposed(a: Matrix, b: Matrix): Matrix {
  requireEqual('matmulTransposed', 'inner dimensions', a.cols, b.cols);
  return matmul(a, transpose(b));
}

/** Adds Σ_k left[start + k · stride] · b[k, :] to a row. */
function accumulateRow(row: Float64Array, left: Float64Array, start: number, stride: number, b: Matrix): void {
  const { rows: inner, cols, data } = b;
  let k = 0;
  for (; k + 3 < inner; k += 4) {
    const l0 = left[start + k * stride]!;
    const l1 = left[start + (k + 1) * stride]!;
    const l2 = left[start + (k + 2) * stride]!;
    const l3 = left[start + (k + 3) * stride]!;
    let at = k * cols;
    for (let j = 0; j < cols; j++, at++) {
      row[j]! += l0 * data[at]! + l1 * data[at + cols]! + l2 * data[at + 2 * cols]! + l3 * data[at + 3 * cols]!;
    }
  }
  for (; k < inner; k++) {
    const factor = left[start + k * stride]!;
    for (let j = 0; j < cols; j++) row[j]! += factor * data[k * cols + j]!;
  }
}

export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}
