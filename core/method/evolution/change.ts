import type { DenseMatrix } from '../../linalg/matrix.ts';
import type { Tensor } from '../../models/base-model.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, type TensorDrift } from './drift.ts';
import type { WeightSource } from './weight-source.ts';

/** What changed in the weight of one module, before it is decomposed. */
export interface Change {
  readonly drift: TensorDrift;
  /** W_new − W_old, [outFeatures, inFeatures], rounded to float32. */
  readonly delta: DenseMatrix;
  /** See `ModuleEvolution.rowSquares`. */
  readonly rowSquares: Float32Array;
}

/**
 * Reads one weight of both versions, which are released before the change is returned.
 * @param into where the change is kept; at least as long as the weight
 */
export async function readChange(
  name: string,
  from: WeightSource,
  to: WeightSource,
  into: Float32Array,
): Promise<Change> {
  const { before, after } = await readBoth(name, from, to);
  const [rows, cols] = before.shape as [number, number];
  const data = into.subarray(0, rows * cols);
  const squares = new Float64Array(3 * rows);
  subtractRows(before.data, after.data, data, squares);
  const [weight, , delta] = [0, 1, 2].map((version) => sumOf(squares.subarray(version * rows, (version + 1) * rows)));
  return { drift: driftOf(delta!, weight!), delta: { rows, cols, data }, rowSquares: Float32Array.from(squares) };
}

/**
 * Writes after − before to `delta`, and the sums of squares of the rows of before, after and delta to `squares`, [3, rows].
 * Differences are squared before they are rounded.
 */
function subtractRows(before: Float32Array, after: Float32Array, delta: Float32Array, squares: Float64Array): void {
  const rows = squares.length / 3;
  const cols = delta.length / rows;
  for (let row = 0, i = 0; row < rows; row++) {
    let [oldSum, newSum, deltaSum] = [0, 0, 0];
    for (const end = i + cols; i < end; i++) {
      const [old, value] = [before[i]!, after[i]!];
      const difference = value - old;
      delta[i] = difference;
      oldSum += old * old;
      newSum += value * value;
      deltaSum += difference * difference;
    }
    squares[row] = oldSum;
    squares[rows + row] = newSum;
    squares[2 * rows + row] = deltaSum;
  }
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Reads the drift of a tensor without storing the difference, since an embedding may be the model's largest tensor. */
export async function readDrift(name: string, from: WeightSource, to: WeightSource): Promise<TensorDrift> {
  const { before, after } = await readBoth(name, from, to);
  return driftBetween(before, after);
}

async function readBoth(name: string, from: WeightSource, to: WeightSource) {
  // Both are waited for even if one fails, so that nothing is read any more when the sources are closed.
  const [old, next] = await Promise.allSettled([from.readWeight(name), to.readWeight(name)]);
  if (old.status === 'rejected') throw old.reason;
  if (next.status === 'rejected') throw next.reason;
  requireShape(name, old.value.shape, next.value.shape);
  return { before: old.value, after: next.value };
}

function driftBetween({ data: before }: Tensor, { data: after }: Tensor): TensorDrift {
  let [deltaSquares, weightSquares] = [0, 0];
  for (let i = 0; i < before.length; i++) {
    const difference = after[i]! - before[i]!;
    deltaSquares += difference * difference;
    weightSquares += before[i]! * before[i]!;
  }
  return driftOf(deltaSquares, weightSquares);
}

function requireShape(name: string, before: readonly number[], after: readonly number[]): void {
  if (before.join() === after.join()) return;
  const message = `tensor ${name} has shape [${after.join(', ')}] in the new version, expected [${before.join(', ')}] as in the old one`;
  throw new AdaptationError('incompatible_evolution', message);
}
