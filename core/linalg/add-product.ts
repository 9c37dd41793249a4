import type { DenseMatrix, Matrix } from './matrix.ts';

/**
 * Adds factor · c · tallᵀ to `out` in place, for c [out.rows, tall.cols] and out [out.rows, tall.rows], four rows at a
 * time.
 */
export function addTimesTransposed(out: Matrix, factor: number, c: Matrix, tall: DenseMatrix): void {
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
