/** ΔW_init = alpha · s · B_old A_old + beta · (W_new − W_old). Copy is (1, 0), revert (1, −1), nothing (0, 0). */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}
