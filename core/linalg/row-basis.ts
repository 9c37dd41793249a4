import { dotWithin } from './matmul.ts';
import { zeros, type Matrix } from './matrix.ts';

/** A tall matrix [rows, cols], row-major, in float32 or float64, which is read without a copy. */
export interface TallMatrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array | Float64Array;
}

/**
 * x · tall, [x.rows, tall.cols], for x [x.rows, tall.rows]. This repeats the loop of `matmul`, which runs a quarter slower
 * once it has seen float32 data too.
 */
export function timesTall(x: Matrix, tall: TallMatrix): Matrix {
  const { rows: inner, cols, data } = tall;
  const out = zeros(x.rows, cols);
  for (let i = 0; i < x.rows; i++) {
    const row = i * cols;
    let k = 0;
    for (; k + 3 < inner; k += 4) {
      const at = i * inner + k;
      const [x0, x1, x2, x3] = [x.data[at]!, x.data[at + 1]!, x.data[at + 2]!, x.data[at + 3]!];
      let from = k * cols;
      for (let j = 0; j < cols; j++, from++) {
        out.data[row + j]! +=
          x0 * data[from]! + x1 * data[from + cols]! + x2 * data[from + 2 * cols]! + x3 * data[from + 3 * cols]!;
      }
    }
    for (; k < inner; k++) {
      const factor = x.data[i * inner + k]!;
      for (let j = 0; j < cols; j++) out.data[row + j]! += factor * data[k * cols + j]!;
    }
  }
  return out;
}

/** Adds factor · c · tallᵀ to `out` in place, for c [out.rows, tall.cols] and out [out.rows, tall.rows], four rows at a time. */
export function addTimesTransposed(out: Matrix, factor: number, c: Matrix, tall: TallMatrix): void {
  const { rows: length, cols: inner, data } = tall;
  let i = 0;
  for (; i + 3 < out.rows; i += 4) {
    const at = i * inner;
    for (let j = 0; j < length; j++) {
      let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
      for (let k = 0, from = j * inner; k < inner; k++, from++) {
        const value = data[from]!;
        sum0 += c.data[at + k]! * value;
        sum1 += c.data[at + inner + k]! * value;
        sum2 += c.data[at + 2 * inner + k]! * value;
        sum3 += c.data[at + 3 * inner + k]! * value;
      }
      const to = i * length + j;
      out.data[to]! += factor * sum0;
      out.data[to + length]! += factor * sum1;
      out.data[to + 2 * length]! += factor * sum2;
      out.data[to + 3 * length]! += factor * sum3;
    }
  }
  for (; i < out.rows; i++) {
    for (let j = 0; j < length; j++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += c.data[i * inner + k]! * data[j * inner + k]!;
      out.data[i * length + j]! += factor * sum;
    }
  }
}

/** X = L Q with lower triangular L [rows, rows] and orthonormal rows in Q. A row that earlier rows span is zero in Q. */
export interface LqFactors {
  readonly l: Matrix;
  readonly q: Matrix;
}

/** What is left of a row below this share of its length is rounding of the rows before it. */
const NEGLIGIBLE = 1e-13;

/**
 * Makes rows orthonormal by the modified Gram–Schmidt process, run twice over each row ("twice is enough": Giraud, Langou
 * and Rozložník, Computers & Mathematics with Applications 50, 2005). It is meant for few long rows and not blocked.
 */
export function orthonormalizeRows(x: Matrix): LqFactors {
  const { rows, cols } = x;
  const l = zeros(rows, rows);
  const q = { rows, cols, data: x.data.slice() };
  for (let i = 0; i < rows; i++) {
    const length = Math.sqrt(dotWithin(q.data, i * cols, i * cols, cols));
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < i; k++) {
        const share = dotWithin(q.data, k * cols, i * cols, cols);
        l.data[i * rows + k]! += share;
        for (let j = 0; j < cols; j++) q.data[i * cols + j]! -= share * q.data[k * cols + j]!;
      }
    }
    const left = Math.sqrt(dotWithin(q.data, i * cols, i * cols, cols));
    const kept = left > NEGLIGIBLE * length;
    l.data[i * rows + i] = kept ? left : 0;
    for (let j = 0; j < cols; j++) q.data[i * cols + j] = kept ? q.data[i * cols + j]! / left : 0;
  }
  return { l, q };
}
