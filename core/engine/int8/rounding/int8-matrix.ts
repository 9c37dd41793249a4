/** A matrix M as integers from -127 to 127 with a scale for each column: M[i, j] ≈ scales[j] · integers[i, j]. */
export interface Int8Matrix {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly integers: Int8Array;
  readonly scales: Float32Array;
}

/** Both forms of a layer's matrix W [out, in] for products. */
export interface RoundedMatrix {
  /** W [out, in], for gradients: dy W. */
  readonly backward: Int8Matrix;
  /** (W diag(factors))ᵀ [in, out], for activations: x Wᵀ. */
  readonly forward: Int8Matrix;
}

export type Direction = keyof RoundedMatrix;

/**
 * Smoothing factors [in] of each weight W [out, in], by name. Columns of x are divided by them and columns of W
 * multiplied.
 */
export type Smoothing = ReadonlyMap<string, Float32Array>;
