import type { DenseMatrix } from '../../linalg/matrix.ts';
import type { Tensor } from '../../models/base-model.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, type TensorDrift } from './drift.ts';
import { subtractRows } from './subtract-rows.ts';
import type { WeightSource } from './weight-source.ts';

/** Change of one module's weight between two versions, before it is decomposed. */
export interface WeightChange {
  readonly drift: TensorDrift;
  /** W_new − W_old, [outFeatures, inFeatures], rounded to float32. */
  readonly delta: DenseMatrix;
  /** Squared norms of each row, as in `ModuleEvolution.rowSquares`. */
  readonly rowSquares: Float32Array;
}

/**
 * Reads one weight of both versions and subtracts them. Both weights are released before the change is returned.
 * @param into memory for the change; at least as long as the weight
 */
export async function readChange(
  name: string,
  from: WeightSource,
  to: WeightSource,
  into: Float32Array,
): Promise<WeightChange> {
  const { before, after } = await readBoth(name, from, to);
  const [rows, cols] = before.shape as [number, number];
  const data = into.subarray(0, rows * cols);
  const squares = new Float64Array(3 * rows);
  subtractRows(before.data, after.data, data, squares);
  const [weight, , delta] = [0, 1, 2].map((version) => sumOf(squares.subarray(version * rows, (version + 1) * rows)));
  return { drift: driftOf(delta!, weight!), delta: { rows, cols, data }, rowSquares: Float32Array.from(squares) };
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/**
 * Reads one tensor of both versions and computes its drift. The difference is not stored, since an embedding may be the
 * model's largest tensor.
 */
export async function readDrift(name: string, from: WeightSource, to: WeightSource): Promise<TensorDrift> {
  const { before, after } = await readBoth(name, from, to);
  return driftBetween(before, after);
}

async function readBoth(name: string, from: WeightSource, to: WeightSource) {
  // Wait for both even if one fails, so that no read is still running when the sources are closed.
  const [old, next] = await Promise.allSettled([from.readWeight(name), to.readWeight(name)]);
  if (old.status === 'rejected') throw old.reason;
  if (next.status === 'rejected') throw next.reason;
  requireShape(name, old.value.shape, next.value.shape);
  return { before: old.value, after: next.value };
}

function driftBetween({ data: before }: Tensor, { data: after }: Tensor): TensorDrift {
  const squares = new Float64Array(3);
  subtractRows(before, after, null, squares);
  return driftOf(squares[2]!, squares[0]!);
}

function requireShape(name: string, before: readonly number[], after: readonly number[]): void {
  if (before.join() === after.join()) return;
  const [found, expected] = [after, before].map((shape) => `[${shape.join(', ')}]`);
  const message = `tensor ${name} has shape ${found} in the new version, expected ${expected} as in the old one`;
  throw new AdaptationError('incompatible_evolution', message);
}
