import { Random } from '../../../../core/statistics/random.ts';
import { matmul } from '../../../../core/linalg/matmul.ts';
import { identity, transpose, zeros, type Matrix } from '../../../../core/linalg/matrix.ts';

export function randomMatrix(rows: number, cols: number, seed: number): Matrix {
  const random = Random.fromSeed(seed);
  const out = zeros(rows, cols);
  for (let i = 0; i < out.data.length; i++) out.data[i] = random.normal();
  return out;
}

/** Largest absolute difference of two matrices of one shape. */
export function maxDifference(a: Matrix, b: Matrix): number {
  if (a.rows !== b.rows || a.cols !== b.cols)
    throw new Error(`shapes differ: ${a.rows}×${a.cols}, ${b.rows}×${b.cols}`);
  let most = 0;
  for (let i = 0; i < a.data.length; i++) {
    const difference = Math.abs(a.data[i]! - b.data[i]!);
    if (!(difference <= most)) most = difference;
  }
  return most;
}

/** Deviation of the columns from orthonormality. */
export function orthonormalityError(q: Matrix): number {
  return maxDifference(matmul(transpose(q), q), identity(q.cols));
}

export function subtract(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((value, i) => value - b.data[i]!) };
}

/** Square root of the sum of squares of numbers, such as a matrix's. */
export function frobeniusNorm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}

/** Product by the definition, one sum an element. */
export function naiveProduct(a: Matrix, b: Matrix): Matrix {
  const out = zeros(a.rows, b.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < b.cols; j++) {
      for (let k = 0; k < a.cols; k++) out.data[i * b.cols + j]! += a.data[i * a.cols + k]! * b.data[k * b.cols + j]!;
    }
  }
  return out;
}
