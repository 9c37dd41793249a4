import { requireEqual, zeros, type Matrix } from './matrix.ts';

/**
 * Returns the lower triangular L with L Lᵀ = A, or null if A is not positive definite to working precision. It reads
 * only the lower triangle of A.
 */
export function cholesky(a: Matrix): Matrix | null {
  requireEqual('cholesky', 'rows and columns', a.rows, a.cols);
  const n = a.rows;
  const l = zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a.data[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= l.data[i * n + k]! * l.data[j * n + k]!;
      if (i !== j) l.data[i * n + j] = sum / l.data[j * n + j]!;
      else if (sum > 0 && Number.isFinite(sum)) l.data[i * n + i] = Math.sqrt(sum);
      else return null;
    }
  }
  return l;
}

/** Solves L x = b for lower triangular L, and returns x. */
export function solveLower(l: Matrix, b: Float64Array): Float64Array {
  requireEqual('solveLower', 'dimensions', l.rows, b.length);
  const n = l.rows;
  const x = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= l.data[i * n + k]! * x[k]!;
    x[i] = sum / l.data[i * n + i]!;
  }
  return x;
}

/** Solves Lᵀ x = b for lower triangular L, and returns x. */
function solveLowerTransposed(l: Matrix, b: Float64Array): Float64Array {
  requireEqual('solveLowerTransposed', 'dimensions', l.rows, b.length);
  const n = l.rows;
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i]!;
    for (let k = i + 1; k < n; k++) sum -= l.data[k * n + i]! * x[k]!;
    x[i] = sum / l.data[i * n + i]!;
  }
  return x;
}

/** Solves L Lᵀ x = b for lower triangular L, and returns x. */
export function solveCholesky(l: Matrix, b: Float64Array): Float64Array {
  return solveLowerTransposed(l, solveLower(l, b));
}
