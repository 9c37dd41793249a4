import { ALPHA_BOUNDS, BETA_BOUNDS, type CoefficientBounds, type Coefficients } from '../../fusion/coefficients.ts';
import type { CoefficientSlopes } from './coefficient-gradients.ts';

/** Coefficients by group. */
export type CoefficientValues = ReadonlyMap<string, Coefficients>;

export interface LossAndSlopes {
  readonly loss: number;
  /** ∂loss/∂alpha and ∂loss/∂beta of every group. */
  readonly slopes: CoefficientSlopes;
}

export interface ProjectedGradientOptions extends CoefficientBounds {
  /** Number of evaluations after that of the start. Default 6. */
  readonly steps?: number;
  /** Diagonal of the preconditioner by group: the squared length of one unit of each coefficient. Default 1 for each. */
  readonly preconditioner?: CoefficientSlopes;
  readonly signal?: AbortSignal;
}

interface Minimum {
  readonly values: CoefficientValues;
  readonly loss: number;
  /** The losses of all evaluations; the first is that of the start. */
  readonly losses: readonly number[];
}

/** Coefficients as one flat array (alpha and beta of each group in turn), with their loss and its slopes. */
interface Point {
  readonly x: Float64Array;
  readonly loss: number;
  readonly slopes: Float64Array;
}

/** Length of the first step, as a share of the length of moving every coefficient by 1. */
const FIRST_STEP = 0.25;

/** Share of the decrease promised by the slope that a step must achieve (Armijo's condition). */
const SUFFICIENT_DECREASE = 1e-4;

/**
 * A few steps of the spectral projected gradient method (Birgin, Martínez and Raydan, SIAM J. Optim. 10, 2000) with
 * monotone backtracking and a diagonal preconditioner M: x ← P(x − η M⁻¹ g), where P projects into the bounds and
 * η = ⟨s, M s⟩ / ⟨s, y⟩ for the last step s and its change of slopes y (Barzilai and Borwein). The method needs neither a
 * scale of the loss nor a learning rate, every evaluation is a step at the same time, and a step that raises the loss is
 * taken back: the result is never worse than the start on its rows.
 * @param evaluate returns loss and slopes at coefficients of the same groups as `start`
 * @throws RangeError if the start is outside the bounds, or if its loss is not finite
 */
export async function projectedGradient(
  evaluate: (values: CoefficientValues) => Promise<LossAndSlopes>,
  start: CoefficientValues,
  options: ProjectedGradientOptions = {},
): Promise<Minimum> {
  const { steps = 6, signal } = options;
  const groups = [...start.keys()];
  const box = boundsOf(groups.length, options);
  const diagonal = diagonalOf(groups, options.preconditioner, box);
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
  let stepLength = firstStepLength(best.slopes, diagonal);
  let step = projectedStep(best, stepLength, diagonal, box);
  for (let taken = 0; taken < steps && step.some((value) => value !== 0); taken++) {
    const next = await at(best.x.map((value, i) => value + step[i]!));
    const slope = dot(best.slopes, step);
    if (next.loss <= best.loss + SUFFICIENT_DECREASE * slope) {
      stepLength = spectralLength(best, next, diagonal) ?? 2 * stepLength;
      best = next;
      step = projectedStep(best, stepLength, diagonal, box);
    } else {
      const shrink = interpolate(next.loss - best.loss, slope);
      stepLength *= shrink;
      step = step.map((value) => shrink * value);
    }
  }
  return { values: unflatten(groups, best.x), loss: best.loss, losses };
}

interface Box {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

function boundsOf(groups: number, options: CoefficientBounds): Box {
  const { alphaBounds = ALPHA_BOUNDS, betaBounds = BETA_BOUNDS } = options;
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

/**
 * The flat diagonal of the preconditioner, with 0 for a coefficient that its bounds fix. A coefficient with a 0 does not
 * move.
 */
function diagonalOf(
  groups: readonly string[],
  preconditioner: CoefficientSlopes | undefined,
  { lower, upper }: Box,
): Float64Array {
  const diagonal = preconditioner ? flatten(groups, preconditioner) : new Float64Array(2 * groups.length).fill(1);
  return diagonal.map((value, i) => (lower[i]! < upper[i]! ? value : 0));
}

/** η of the first step: ‖x′ − x‖ = FIRST_STEP · ‖(1, …, 1)‖ in the norm of M, unless the step meets a bound. */
function firstStepLength(slopes: Float64Array, diagonal: Float64Array): number {
  let squares = 0;
  for (let i = 0; i < slopes.length; i++) if (diagonal[i]! > 0) squares += slopes[i]! ** 2 / diagonal[i]!;
  return squares === 0 ? 0 : FIRST_STEP * Math.sqrt(diagonal.reduce((sum, value) => sum + value, 0) / squares);
}

function projectedStep(
  { x, slopes }: Point,
  length: number,
  diagonal: Float64Array,
  { lower, upper }: Box,
): Float64Array {
  return x.map((value, i) => {
    if (!(diagonal[i]! > 0)) return 0;
    const moved = value - (length * slopes[i]!) / diagonal[i]!;
    return Math.min(upper[i]!, Math.max(lower[i]!, moved)) - value;
  });
}

/** Barzilai and Borwein's step length, or null if the loss does not curve upwards along the step. */
function spectralLength(from: Point, to: Point, diagonal: Float64Array): number | null {
  let squares = 0;
  let curvature = 0;
  for (let i = 0; i < diagonal.length; i++) {
    const step = to.x[i]! - from.x[i]!;
    squares += diagonal[i]! * step * step;
    curvature += step * (to.slopes[i]! - from.slopes[i]!);
  }
  return curvature > 0 ? squares / curvature : null;
}

/**
 * The minimum of the parabola through both losses with the slope at the start of the step, as a share of the step between
 * a tenth and half.
 */
function interpolate(rise: number, slope: number): number {
  if (!Number.isFinite(rise)) return 0.1;
  return Math.min(0.5, Math.max(0.1, -slope / (2 * (rise - slope))));
}

function dot(x: Float64Array, y: Float64Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i]!, 0);
}

/** Alpha and beta of each group, one group after the other. */
function flatten(groups: readonly string[], values: CoefficientValues): Float64Array {
  return Float64Array.from(
    groups.flatMap((group) => {
      const pair = values.get(group);
      if (!pair) throw new RangeError(`group ${group} is missing, expected values for ${groups.join(', ')}`);
      return [pair.alpha, pair.beta];
    }),
  );
}

function unflatten(groups: readonly string[], x: Float64Array): CoefficientValues {
  return new Map(groups.map((group, i) => [group, { alpha: x[2 * i]!, beta: x[2 * i + 1]! }]));
}
