import { matmul } from '../matmul.ts';
import { requireEqual, type Matrix } from '../matrix.ts';
import { requireFinite, type SvdFactors } from './svd.ts';
import { leadingEigenvectors } from './symmetric-eigen.ts';

/**
 * Computes the leading `rank` singular triplets of a square matrix (at most n) for half of the work of `truncatedSvd`,
 * given its Gram matrix: V from the eigenvectors of AᵀA, U and S from A V = U diag(S). U S Vᵀ is then A V Vᵀ. The Gram
 * matrix resolves squares to a few ε · S[0]², so directions below √ε · S[0] = 1.5e-8 · S[0] mix with each other: A V Vᵀ
 * is the best approximation of its rank up to an error of that size, which float32 cannot resolve. The columns of U are
 * orthonormal to about ε · (S[0] / S[i])². Fourth powers of the entries must neither overflow nor underflow.
 * @param a [n, n]
 * @param gram AᵀA, [n, n], of which only the upper triangle is read; overwritten
 * @returns the triplets, S descending to rounding, and the squares of all singular values, descending
 * @throws RangeError if an entry is not finite
 */
export function gramSvd(a: Matrix, gram: Matrix, rank: number): SvdFactors & { readonly squares: Float64Array } {
  requireEqual('gramSvd', 'rows and columns', a.rows, a.cols);
  requireEqual('gramSvd', 'columns and Gram matrix', a.cols, gram.cols);
  requireFinite(gram);
  const { values, vectors: v } = leadingEigenvectors(gram, Math.min(rank, a.cols));
  const u = matmul(a, v);
  return { u, s: normalizeColumns(u), v, squares: values.map((value) => Math.max(0, value)) };
}

/**
 * Divides each column by its length, unless that is zero, in place.
 * @returns the lengths
 */
function normalizeColumns({ cols, data }: Matrix): Float64Array {
  const lengths = new Float64Array(cols);
  for (let i = 0; i < data.length; i++) lengths[i % cols]! += data[i]! * data[i]!;
  for (let k = 0; k < cols; k++) lengths[k] = Math.sqrt(lengths[k]!);
  for (let i = 0; i < data.length; i++) data[i]! /= lengths[i % cols]! || 1;
  return lengths;
}
