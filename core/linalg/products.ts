import { matmul, transposedMatmul } from './matmul.ts';
import { toFloat64, type DenseMatrix, type Matrix } from './matrix.ts';

/**
 * Products of large matrices with narrow ones. The factorizations of this folder ask for nothing else of large matrices,
 * so that a faster library than this folder can compute them. Implementations may round operands and results to float32.
 * Equal operands give equal bits on the same machine.
 */
export interface MatrixProducts {
  /** a · b */
  times(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix>;
  /** aᵀ · b */
  transposedTimes(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix>;
  /** aᵀ · a, summed in float64: the Gram matrix of the columns of `a` as they are. */
  gram(a: DenseMatrix): Promise<Matrix>;
}

/** The reference: everything in float64, in JavaScript on one thread. */
export const plainProducts: MatrixProducts = {
  times: (a, b) => Promise.resolve(matmul(toFloat64(a), toFloat64(b))),
  transposedTimes: (a, b) => Promise.resolve(transposedMatmul(toFloat64(a), toFloat64(b))),
  gram: (a) => Promise.resolve(transposedMatmul(toFloat64(a), toFloat64(a))),
};
