import type { DenseMatrix } from '../../linalg/matrix.ts';
import type { Tensor } from '../../models/base-model.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, type TensorDrift } from './drift.ts';
import type { WeightSource } from './evolution.ts';

/** What changed in the weight of one module, before it is decomposed. */
export interface Change {
  readonly drift: TensorDrift;
  /** W_new − W_old, [outFeatures, inFeatures], rounded to float32. */
  readonly delta: DenseMatrix;
  /** See `ModuleEvolution.rowSquares`. */
  readonly rowSquares: Float32Array;
}

/** Reads one weight of both versions. The old one is released before the new one is read: the difference replaces it. */
export async function readChange(name: string, from: WeightSource, to: WeightSource): Promise<Change> {
  const { rows, cols, data, squares } = await readOld(name, from);
  const after = await to.readWeight(name);
  requireShape(name, [rows, cols], after.shape);
  const sums = subtractRows({ rows, cols, data }, after.data, squares);
  return {
    drift: driftOf(sums.delta, sums.before),
    delta: { rows, cols, data },
    rowSquares: Float32Array.from(squares),
  };
}

async function readOld(name: string, from: WeightSource) {
  const { shape, data } = await from.readWeight(name);
  const [rows, cols] = shape as [number, number];
  const squares = new Float64Array(3 * rows);
  for (let row = 0; row < rows; row++) squares[row] = sumOfSquares(data, row * cols, (row + 1) * cols);
  return { rows, cols, data: data.slice(), squares };
}

/**
 * Replaces the old weight by the difference, in place, and completes the sums of squares of each row of W_old, W_new and
 * W_new − W_old, of which the first third is there. Differences are squared before they are rounded.
 */
function subtractRows(
  { rows, cols, data }: { readonly rows: number; readonly cols: number; readonly data: Float32Array },
  after: Float32Array,
  squares: Float64Array,
): { readonly before: number; readonly delta: number } {
  let [before, delta] = [0, 0];
  for (let row = 0; row < rows; row++) {
    let [afterSquares, deltaSquares] = [0, 0];
    for (let i = row * cols; i < (row + 1) * cols; i++) {
      const value = after[i]!;
      const difference = value - data[i]!;
      data[i] = difference;
      afterSquares += value * value;
      deltaSquares += difference * difference;
    }
    squares[rows + row] = afterSquares;
    squares[2 * rows + row] = deltaSquares;
    before += squares[row]!;
    delta += deltaSquares;
  }
  return { before, delta };
}

function sumOfSquares(data: Float32Array, begin: number, end: number): number {
  let sum = 0;
  for (let i = begin; i < end; i++) sum += data[i]! * data[i]!;
  return sum;
}

/** Reads the drift of a tensor without storing the difference, since an embedding may be the model's largest tensor. */
export async function readDrift(name: string, from: WeightSource, to: WeightSource): Promise<TensorDrift> {
  const before = await from.readWeight(name);
  const after = await to.readWeight(name);
  requireShape(name, before.shape, after.shape);
  return driftBetween(before, after);
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
