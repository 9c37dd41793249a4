import type { CoefficientSlopes } from './coefficient-gradients.ts';
import { ALPHA_BOUNDS, BETA_BOUNDS, type CoefficientBounds, type Coefficients } from '../../fusion/coefficients.ts';

/** Coefficients by group. */
export type CoefficientValues = ReadonlyMap<string, Coefficients>;

export interface LossAndSlopes {
  readonly loss: number;
  /** ∂loss/∂alpha and ∂loss/∂beta of every group. */
  readonly slopes: CoefficientSlopes;
}

export interface RefineOptions extends CoefficientBounds {
  /** Losses with gradients after the start's own. Default 6. */
  readonly steps?: number;
  /** Length of the first step, as a share of the length of moving every coefficient by 1. Default 0.25. */
  readonly firstStep?: number;
  /** The metric's diagonal, by group: squared length of one unit of each coefficient. Default 1 each. */
  readonly metric?: CoefficientSlopes;
  readonly signal?: AbortSignal;
}

export interface RefinedCoefficients {
  readonly values: CoefficientValues;
  readonly loss: number;
  /** Every loss seen, the start's first. */
  readonly losses: readonly number[];
}

interface Point {
  readonly x: Float64Array;
  readonly loss: number;
  readonly slopes: Float64Array;
}

/**
 * A few steps of the spectral projected gradient method (Birgin, Martínez and Raydan, SIAM J. Optim. 10, 2000) with
 * monotone backtracking, in a diagonal metric M: x ← P(x − η M⁻¹ g), η = ⟨s, M s⟩ / ⟨s, y⟩ of the last step s and its
 * change of slopes y (Barzilai and Borwein). It needs no scale of the loss and no learning rate, each evaluation is at
 * once a step, and a step that raises the loss is taken back: the result is never worse than the start on its rows.
 * @param evaluate loss and slopes at coefficients of the same groups as `start`'s
 * @throws RangeError where the start is outside the bounds or its loss not finite
 */
export async function refineCoefficients(
  evaluate: (values: CoefficientValues) => Promise<LossAndSlopes>,
  start: CoefficientValues,
  options: RefineOptions = {},
): Promise<RefinedCoefficients> {
  const { steps = 6, firstStep = 0.25, signal } = options;
  const groups = [...start.keys()];
  const box = boundsOf(groups.length, options);
  const metric = metricOf(groups, options.metric, box);
  const losses: number[] = [];
  const at = async (x: Float64Array): Promise<Point> => {
    signal?.throwIfAborted();
    const { loss, slopes } = await evaluate(unflatten(groups, x));
    losses.push(loss);
    return { x, loss, slopes: flatten(groups, slopes) };
  };
  let best = await at(requireInside(flatten(groups, start), box));
  if (!Number.isFinite(best.loss))
    throw new RangeError(`the loss at the start is ${best.loss}, expected a finite number`);
  let stepLength = firstStepLength(best.slopes, metric, firstStep);
  let step = projectedStep(best, stepLength, metric, box);
  for (let taken = 0; taken < steps && step.some((value) => value !== 0); taken++) {
    const next = await at(best.x.map((value, i) => value + step[i]!));
    const slope = dot(best.slopes, step);
    if (next.loss <= best.loss + SUFFICIENT * slope) {
      stepLength = spectralLength(best, next, metric) ?? 2 * stepLength;
      best = next;
      step = projectedStep(best, stepLength, metric, box);
    } else {
      const shrink = interpolate(next.loss - best.loss, slope);
      stepLength *= shrink;
      step = step.map((value) => shrink * value);
    }
  }
  return { values: unflatten(groups, best.x), loss: best.loss, losses };
}

/** Share of the decrease that the slope promises which a step must bring (Armijo). */
const SUFFICIENT = 1e-4;

interface Box {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

function boundsOf(groups: number, { alphaBounds = ALPHA_BOUNDS, betaBounds = BETA_BOUNDS }: RefineOptions): Box {
  const side = (end: 0 | 1) =>
    Float64Array.from({ length: 2 * groups }, (_, i) => (i % 2 === 0 ? alphaBounds : betaBounds)[end]);
  return { lower: side(0), upper: side(1) };
}

function requireInside(x: Float64Array, { lower, upper }: Box): Float64Array {
  const at = x.findIndex((value, i) => !(value >= lower[i]! && value <= upper[i]!));
  if (at < 0) return x;
  const name = at % 2 === 0 ? 'alpha' : 'beta';
  throw new RangeError(`the start's ${name} is ${x[at]}, expected a number from ${lower[at]} to ${upper[at]}`);
}

/** The diagonal, flat; 0 for a coefficient that its bounds fix. One of length 0 moves nothing and stays where it is. */
function metricOf(
  groups: readonly string[],
  metric: CoefficientSlopes | undefined,
  { lower, upper }: Box,
): Float64Array {
  const diagonal = metric ? flatten(groups, metric) : new Float64Array(2 * groups.length).fill(1);
  return diagonal.map((value, i) => (lower[i]! < upper[i]! ? value : 0));
}

/** η of the first step, by which ‖x′ − x‖ = share · ‖(1, …, 1)‖ in the metric where no bound is met. */
function firstStepLength(slopes: Float64Array, metric: Float64Array, share: number): number {
  let squares = 0;
  for (let i = 0; i < slopes.length; i++) if (metric[i]! > 0) squares += slopes[i]! ** 2 / metric[i]!;
  return squares === 0 ? 0 : share * Math.sqrt(metric.reduce((sum, value) => sum + value, 0) / squares);
}

function projectedStep(
  { x, slopes }: Point,
  length: number,
  metric: Float64Array,
  { lower, upper }: Box,
): Float64Array {
  return x.map((value, i) => {
    if (!(metric[i]! > 0)) return 0;
    const target = value - (length * slopes[i]!) / metric[i]!;
    return Math.min(upper[i]!, Math.max(lower[i]!, target)) - value;
  });
}

/** Barzilai and Borwein's length, or null where the loss does not curve upwards along the step. */
function spectralLength(from: Point, to: Point, metric: Float64Array): number | null {
  let squares = 0;
  let curvature = 0;
  for (let i = 0; i < metric.length; i++) {
    const step = to.x[i]! - from.x[i]!;
    squares += metric[i]! * step * step;
    curvature += step * (to.slopes[i]! - from.slopes[i]!);
  }
  return curvature > 0 ? squares / curvature : null;
}

/** The minimum of the parabola through both losses with the start's slope, between a tenth and half of the step. */
function interpolate(rise: number, slope: number): number {
  if (!Number.isFinite(rise)) return 0.1;
  return Math.min(0.5, Math.max(0.1, -slope / (2 * (rise - slope))));
}

function dot(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i]!, 0);
}

/** alpha and beta of each group, one behind the other. */
function flatten(groups: readonly string[], values: CoefficientValues): Float64Array {
  return Float64Array.from(
    groups.flatMap((group) => {
      const pair = values.get(group);
      if (!pair) throw new RangeError(`group ${group} is missing: expected values for ${groups.join(', ')}`);
      return [pair.alpha, pair.beta];
    }),
  );
}

function unflatten(groups: readonly string[], x: Float64Array): CoefficientValues {
  return new Map(groups.map((group, i) => [group, { alpha: x[2 * i]!, beta: x[2 * i + 1]! }]));
}
