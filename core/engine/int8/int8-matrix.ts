import type { Tensor } from '../../models/base-model.ts';

/** The largest whole number that stands for a weight. */
const LEVELS = 127;

/** Makes a number positive before its fraction is cut off, which rounds half up as Math.round does, but faster. */
const SHIFT = 128;

/** Rows of the source that are transposed at a time, so that they stay in the processor's cache meanwhile. */
const BLOCK = 64;

/** A matrix M as whole numbers with a scale for each column: M[i, j] ≈ scales[j] · integers[i, j]. */
export interface Int8Matrix {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly integers: Int8Array;
  readonly scales: Float32Array;
}

/** For each weight W [out, in], by name: the factors [in] that columns of x are divided by and columns of W multiplied with. */
export type Smoothing = ReadonlyMap<string, Float32Array>;

/** Rounds a matrix [rows, columns] to 255 levels between the largest number of each column and its opposite. */
export function quantize({ shape, data }: Tensor): Int8Matrix {
  const [rows, columns] = shape as [number, number];
  const largest = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) {
      largest[column] = Math.max(largest[column]!, Math.abs(data[at]!));
    }
  }
  const levels = largest.map(levelsOf);
  const integers = new Int8Array(data.length);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, at++) integers[at] = rounded(data[at]! * levels[column]!);
  }
  return { shape: [rows, columns], integers, scales: scalesOf(largest) };
}

/** Rounds diag(factors) Mᵀ as {@link quantize} does, for a matrix M [rows, columns] and factors [columns]. */
export function quantizeTransposed({ shape, data }: Tensor, factors: Float32Array): Int8Matrix {
  const [rows, columns] = shape as [number, number];
  const largest = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let most = 0;
    for (let column = 0; column < columns; column++, at++)
      most = Math.max(most, Math.abs(data[at]! * factors[column]!));
    largest[row] = most;
  }
  const levels = largest.map(levelsOf);
  const integers = new Int8Array(data.length);
  for (let begin = 0; begin < rows; begin += BLOCK) {
    const end = Math.min(begin + BLOCK, rows);
    for (let column = 0; column < columns; column++) {
      const factor = factors[column]!;
      for (let row = begin, at = column * rows + begin; row < end; row++, at++) {
        integers[at] = rounded(data[row * columns + column]! * factor * levels[row]!);
      }
    }
  }
  return { shape: [columns, rows], integers, scales: scalesOf(largest) };
}

/** Returns what the numbers of a column are multiplied with; 0 for a column of zeros. */
function levelsOf(largest: number): number {
  return largest > 0 ? LEVELS / largest : 0;
}

function scalesOf(largest: Float64Array): Float32Array {
  return Float32Array.from(largest, (size) => size / LEVELS);
}

/** Rounds a value between -127 and 127. */
function rounded(value: number): number {
  return ((value + SHIFT + 0.5) | 0) - SHIFT;
}
