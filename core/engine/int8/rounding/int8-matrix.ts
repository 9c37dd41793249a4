import type { IntegerArray } from '../weight-integers.ts';

/**
 * Matrix M as integers from -127 to 127 with a scale for each column: M[i, j] ≈ scales[j] · (integers[i, j] − z), where
 * z is the zero point of the form in which the integers are stored.
 */
export interface Int8Matrix {
  /** Numbers of rows and columns of M. */
  readonly shape: readonly [number, number];
  readonly integers: IntegerArray;
  readonly scales: Float32Array;
}

/** A layer's matrix W [out, in], rounded in two forms: one for gradients, one for activations. */
export interface RoundedMatrix {
  /** Rounded W [out, in], for the products dy W of gradients. */
  readonly backward: Int8Matrix;
  /** Rounded (W diag(factors))ᵀ [in, out], for the products x Wᵀ of activations, with W's smoothing factors. */
  readonly forward: Int8Matrix;
}

export type Direction = keyof RoundedMatrix;

/**
 * Smoothing factors [in] of each weight W [out, in], by the weight's name. Before rounding, column j of the activations
 * x is divided by factor j, and column j of W is multiplied by it.
 */
export type Smoothing = ReadonlyMap<string, Float32Array>;
