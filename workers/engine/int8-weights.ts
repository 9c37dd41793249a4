import type { Tensor } from '../models/base-model.ts';

/** Largest of the whole numbers that stand for a column's weights. */
const LEVELS = 127;

/** Names of a graph's inputs for a matrix in 8 bits, and for its scales. */
export function int8Inputs(weight: string, { transposed }: { readonly transposed: boolean }): { matrix: string; scales: string } {
  const matrix = `${weight}.int8${transposed ? '_transposed' : ''}`;
  return { matrix, scales: `${matrix}_scales` };
}

/** A weight as whole numbers, transposed or not, with a scale for each column: W[i, j] ≈ scales[j] · integers[i, j]. */
export interface Int8Matrix {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly integers: Int8Array;
  readonly scales: Float32Array;
}

/**
 * To the nearest of 255 levels between the largest weight of each column and its opposite.
 * @param tensor [rows, columns], or [columns, rows] where it is to be transposed
 */
export function quantise({ shape, data }: Tensor, { transposed }: { readonly transposed: boolean }): Int8Matrix {
  const [rows, columns] = (transposed ? shape.toReversed() : shape) as [number, number];
  const [rowStride, columnStride] = transposed ? [1, rows] : [columns, 1];
  const scales = new Float32Array(columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) scales[j] = Math.max(scales[j]!, Math.abs(data[i * rowStride + j * columnStride]!) / LEVELS);
  }
  const integers = new Int8Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) integers[i * columns + j] = Math.round(data[i * rowStride + j * columnStride]! / scales[j]!);
  }
  return { shape: [rows, columns], integers, scales };
}

/** The weight that an input holds in 8 bits, and what of it; undefined for other inputs. */
export function int8Input(name: string): { weight: string; transposed: boolean; scales: boolean } | undefined {
  const match = /^(.*)\.int8(_transposed)?(_scales)?$/.exec(name);
  return match ? { weight: match[1]!, transposed: match[2] !== undefined, scales: match[3] !== undefined } : undefined;
}
