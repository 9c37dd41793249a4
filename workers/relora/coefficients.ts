/** ΔW_init = alpha · s · B_old A_old + beta · (W_new − W_old). Copy is (1, 0), revert (1, −1), nothing (0, 0). */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}

/** Where coefficients are looked for by default. */
export const ALPHA_BOUNDS: readonly [number, number] = [0, 1.5];
export const BETA_BOUNDS: readonly [number, number] = [-1.25, 0.5];
