import type { MovedCoefficients } from '../../options/job-options.ts';

/** ΔW_init = alpha · s · B_old A_old + beta · (W_new − W_old). Copy is (1, 0), revert (1, −1), nothing (0, 0). */
export interface Coefficients {
  readonly alpha: number;
  readonly beta: number;
}

export const COPY: Coefficients = { alpha: 1, beta: 0 };
export const REVERT: Coefficients = { alpha: 1, beta: -1 };
export const NOTHING: Coefficients = { alpha: 0, beta: 0 };

export function isSamePoint(a: Coefficients, b: Coefficients): boolean {
  return a.alpha === b.alpha && a.beta === b.beta;
}

/** Where coefficients are looked for by default. */
export const ALPHA_BOUNDS: readonly [number, number] = [0, 1.5];
export const BETA_BOUNDS: readonly [number, number] = [-1.25, 0.5];

/** Where coefficients are looked for; equal bounds fix one. */
export interface CoefficientBounds {
  /** Default [0, 1.5]. */
  readonly alphaBounds?: readonly [number, number];
  /** Default [−1.25, 0.5]. */
  readonly betaBounds?: readonly [number, number];
}

/** The default bounds with the coefficient that is not moved fixed at copy's. */
export function boundsMoving(moved: MovedCoefficients): Required<CoefficientBounds> {
  return {
    alphaBounds: moved === 'beta' ? [1, 1] : ALPHA_BOUNDS,
    betaBounds: moved === 'alpha' ? [0, 0] : BETA_BOUNDS,
  };
}

/** What lies within both: a coefficient that either fixes stays fixed. */
export function commonBounds(bounds: CoefficientBounds, by: CoefficientBounds): Required<CoefficientBounds> {
  const { alphaBounds = ALPHA_BOUNDS, betaBounds = BETA_BOUNDS } = bounds;
  return {
    alphaBounds: intersection(alphaBounds, by.alphaBounds),
    betaBounds: intersection(betaBounds, by.betaBounds),
  };
}

/** The nearest coefficients within bounds. */
export function clampCoefficients({ alpha, beta }: Coefficients, bounds: Required<CoefficientBounds>): Coefficients {
  return { alpha: clamp(alpha, bounds.alphaBounds), beta: clamp(beta, bounds.betaBounds) };
}

type Interval = readonly [number, number];

function intersection([low, high]: Interval, by: Interval = [low, high]): Interval {
  return [Math.max(low, by[0]), Math.min(high, by[1])];
}

function clamp(value: number, [low, high]: Interval): number {
  return Math.min(high, Math.max(low, value));
}
