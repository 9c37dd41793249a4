/** A matrix M as whole numbers from -127 to 127 with a scale for each column: M[i, j] ≈ scales[j] · integers[i, j]. */
export interface Int8Matrix {
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  readonly integers: Int8Array;
  readonly scales: Float32Array;
}

/** The two forms in which a layer's matrix W [out, in] is multiplied. */
export interface RoundedMatrix {
  /** W [out, in], for gradients: dy W. */
  readonly backward: Int8Matrix;
  /** (W diag(factors))ᵀ [in, out], for activations: x Wᵀ. */
  readonly forward: Int8Matrix;
}

export type Direction = keyof RoundedMatrix;

/** For each weight W [out, in], by name: the factors [in] that columns of x are divided by and columns of W multiplied with. */
export type Smoothing = ReadonlyMap<string, Float32Array>;
