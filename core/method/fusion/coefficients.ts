/**
 * Fusion coefficients α and β, which define the full update alpha · s · B_old A_old + beta · (W_new − W_old). A fused
 * adapter is this update truncated to the adapter's rank.
 */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}

/** Coefficients of the copy, which is the old adapter unchanged. */
export const COPY: Coefficients = { alpha: 1, beta: 0 };
/** Coefficients of the revert, which is the old adapter with the base's change undone. */
export const REVERT: Coefficients = { alpha: 1, beta: -1 };

export function isSamePoint(a: Coefficients, b: Coefficients): boolean {
  return a.alpha === b.alpha && a.beta === b.beta;
}

/** @throws RangeError for coefficients that are not finite */
export function requireFiniteCoefficients({ alpha, beta }: Coefficients): void {
  if (Number.isFinite(alpha) && Number.isFinite(beta)) return;
  throw new RangeError(`fusion coefficients are alpha ${alpha} and beta ${beta}, expected finite numbers`);
}

/** Intervals of α and β within which a search proposes coefficients. */
export const ALPHA_BOUNDS: readonly [number, number] = [0, 1.5];
export const BETA_BOUNDS: readonly [number, number] = [-1.25, 0.5];
