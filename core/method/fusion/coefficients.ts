import type { MovedCoefficients } from '../../options/job-options.ts';

/**
 * The fusion coefficients α and β. They define the full update alpha · s · B_old A_old + beta · (W_new − W_old); a fused
 * adapter is this update truncated to the adapter's rank.
 */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}

/** The old adapter, unchanged. */
export const COPY: Coefficients = { alpha: 1, beta: 0 };
/** The old adapter with the base's change undone. */
export const REVERT: Coefficients = { alpha: 1, beta: -1 };
/** The new base without an adapter. */
export const NOTHING: Coefficients = { alpha: 0, beta: 0 };

export function isSamePoint(a: Coefficients, b: Coefficients): boolean {
  return a.alpha === b.alpha && a.beta === b.beta;
}

/** @throws RangeError for coefficients that are not finite */
export function requireFinite({ alpha, beta }: Coefficients): void {
  if (Number.isFinite(alpha) && Number.isFinite(beta)) return;
  throw new RangeError(`fusion coefficients are alpha ${alpha} and beta ${beta}, expected finite numbers`);
}

/** Intervals to which a search is restricted by default. */
export const ALPHA_BOUNDS: readonly [number, number] = [0, 1.5];
export const BETA_BOUNDS: readonly [number, number] = [-1.25, 0.5];

/** Intervals to which a search is restricted. Equal bounds fix a coefficient. */
export interface CoefficientBounds {
  /** Default [0, 1.5]. */
  readonly alphaBounds?: readonly [number, number];
  /** Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
}

/** The default bounds, with a coefficient that is not varied fixed at its value in copy. */
export function boundsMoving(moved: MovedCoefficients): Required<CoefficientBounds> {
  return {
    alphaBounds: moved === 'beta' ? [1, 1] : ALPHA_BOUNDS,
    betaBounds: moved === 'alpha' ? [0, 0] : BETA_BOUNDS,
  };
}

/** The intersection of two sets of bounds. A coefficient that either of them fixes stays fixed. */
export function commonBounds(bounds: CoefficientBounds, by: CoefficientBounds): Required<CoefficientBounds> {
  const { alphaBounds = ALPHA_BOUNDS, betaBounds = BETA_BOUNDS } = bounds;
  return {
    alphaBounds: intersection(alphaBounds, by.alphaBounds),
    betaBounds: intersection(betaBounds, by.betaBounds),
  };
}

type Interval = readonly [number, number];

function intersection([low, high]: Interval, by: Interval = [low, high]): Interval {
  return [Math.max(low, by[0]), Math.min(high, by[1])];
}
