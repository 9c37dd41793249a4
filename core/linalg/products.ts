import { matmul, matmulTransposed, transposedMatmul } from './matmul.ts';
import { addAll, toFloat64, type DenseMatrix, type Matrix } from './matrix.ts';

/**
 * Products of large matrices with narrow ones. The factorizations of this folder need no other operation on large
 * matrices, so a faster library can do this part of the work. Implementations may round operands and results to
 * float32. Equal operands give equal bits on the same machine.
 */
export interface MatrixProducts {
  /** Product a · b. */
  times(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix>;
  /** Sum of products a · bᵀ + c · dᵀ, computed as the single product [a, c] · [b, d]ᵀ. */
  sumOfTimesTransposed(a: DenseMatrix, b: DenseMatrix, c: DenseMatrix, d: DenseMatrix): Promise<DenseMatrix>;
  /** Product aᵀ · b. */
  transposedTimes(a: DenseMatrix, b: DenseMatrix): Promise<DenseMatrix>;
  /** Gram matrix aᵀ · a of the columns of `a`, summed in float64 without rounding the operands. */
  gram(a: DenseMatrix): Promise<Matrix>;
}

/** Reference implementation of the products: float64 in JavaScript on one thread. */
export const plainProducts: MatrixProducts = {
  times: (a, b) => Promise.resolve(matmul(toFloat64(a), toFloat64(b))),
  sumOfTimesTransposed: (a, b, c, d) => {
    const one = matmulTransposed(toFloat64(a), toFloat64(b));
    return Promise.resolve(addAll(one, matmulTransposed(toFloat64(c), toFloat64(d))));
  },
  transposedTimes: (a, b) => Promise.resolve(transposedMatmul(toFloat64(a), toFloat64(b))),
  gram: (a) => Promise.resolve(transposedMatmul(toFloat64(a), toFloat64(a))),
};
