import type { Tensor } from '../../models/base-model.ts';

/** The largest whole number that stands for a weight. */
const LEVELS = 127;

/** A matrix as whole numbers with a scale for each column: M[i, j] ≈ scales[j] · integers[i, j]. */
export interface Int8Matrix {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly integers: Int8Array;
  readonly scales: Float32Array;
}

/** By weight W [out, in]: what the columns of x are divided by and those of W multiplied with, [in]. */
export type Smoothing = ReadonlyMap<string, Float32Array>;

/** Rounds a matrix [rows, columns] to 255 levels between the largest number of each column and its opposite. */
export function quantise({ shape, data }: Tensor): Int8Matrix {
  const [rows, columns] = shape as [number, number];
  const scales = new Float32Array(columns);
  for (let i = 0; i < data.length; i++) scales[i % columns] = Math.max(scales[i % columns]!, Math.abs(data[i]!));
  for (let j = 0; j < columns; j++) scales[j]! /= LEVELS;
  const integers = new Int8Array(data.length);
  for (let i = 0; i < data.length; i++) integers[i] = Math.round(data[i]! / scales[i % columns]!);
  return { shape: [rows, columns], integers, scales };
}

/** diag(factors) Wᵀ of W [rows, columns]. */
export function scaledTranspose({ shape, data }: Tensor, factors: Float32Array): Tensor {
  const [rows, columns] = shape as [number, number];
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j]! * factors[j]!;
  }
  return { shape: [columns, rows], data: out };
}
