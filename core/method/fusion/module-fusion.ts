import type { LoraFactors } from '../../models/lora/adapter.ts';
import { Random } from '../../statistics/random.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import type { Coefficients } from './coefficients.ts';
import { withFusedMagnitude } from './fused-magnitude.ts';
import type { FusedShape } from './fusion-rank.ts';
import { columns, concatColumns, matrix, scaleColumns, transpose, type Matrix } from '../../linalg/matrix.ts';
import { matmul } from '../../linalg/matmul.ts';
import { addTimesTransposed, orthonormalizeRows, timesTall, type TallMatrix } from '../../linalg/row-basis.ts';
import { truncatedSvd, type SvdFactors } from '../../linalg/svd.ts';

export interface FusedModule {
  readonly factors: LoraFactors;
  /** Frobenius norm of target minus product. */
  readonly truncationError: number;
}

export interface ModuleFusion {
  /** @param shape rank (at least the old one) and scaling of the result; default the old factors' */
  at(coefficients: Coefficients, shape?: FusedShape): FusedModule;
  /** Of the untruncated target, descending: as many as it can have. */
  singularValues(coefficients: Coefficients): Float64Array;
}

/**
 * The target alpha · s · B A + beta · U S Vᵀ lies in the span of [U, B] on the left and of [V, Aᵀ] on the right. U and V
 * are orthonormal as they come, so only what B and Aᵀ have outside of them is made so: Bᵀ = c_L Uᵀ + l_L Q_L and
 * A = c_R Vᵀ + l_R Q_R. The target is [U, Q_Lᵀ] C [V, Q_Rᵀ]ᵀ with a core of r + k rows and columns,
 * C = alpha · s · [c_L, l_L]ᵀ [c_R, l_R] + beta · diag(S, 0), whose SVD is that of the target.
 */
export function prepareModule(old: LoraFactors, change: ModuleEvolution): ModuleFusion {
  const left = splitRows(transpose(matrix(old.outFeatures, old.rank, old.b)), change.u, change.rank);
  const right = splitRows(matrix(old.rank, old.inFeatures, old.a), change.v, change.rank);
  const oldCore = matmul(transpose(scaleAll(left.coordinates, old.scaling)), right.coordinates);
  const prepared: PreparedModule = { old, change, left, right, oldCore };
  return {
    at(coefficients, shape = old) {
      const { factors, truncationError } =
        coefficients.beta !== 0 && change.rank > 0
          ? truncate(prepared, coefficients, shape)
          : { factors: scaled(old, coefficients.alpha, shape), truncationError: 0 };
      return {
        factors: coefficients.alpha === 1 ? factors : withFusedMagnitude(factors, change, coefficients),
        truncationError,
      };
    },
    singularValues(coefficients) {
      const most = Math.min(old.outFeatures, old.inFeatures);
      return truncatedSvd(coreOf(prepared, coefficients), 0).all.subarray(0, most);
    },
  };
}

interface PreparedModule {
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
  readonly left: SplitRows;
  readonly right: SplitRows;
  /** s · [c_L, l_L]ᵀ [c_R, l_R], [k + r, k + r]. */
  readonly oldCore: Matrix;
}

/** X = coordinates · [directions, restᵀ]ᵀ for X [r, n]. */
interface SplitRows {
  /** The evolution's orthonormal directions, [n, k]. */
  readonly directions: TallMatrix;
  /** Orthonormal rows, [r, n]. */
  readonly rest: Matrix;
  /** [r, k + r] */
  readonly coordinates: Matrix;
}

/**
 * The directions are orthonormal to float32 only (6e-8). That leaves the sum exact, and moves the truncation by as
 * little.
 */
function splitRows(x: Matrix, directions: Float32Array, rank: number): SplitRows {
  const tall = { rows: x.cols, cols: rank, data: directions };
  const within = timesTall(x, tall);
  const outside = { ...x, data: x.data.slice() };
  addTimesTransposed(outside, -1, within, tall);
  const { l, q } = orthonormalizeRows(outside);
  return { directions: tall, rest: q, coordinates: concatColumns(within, l) };
}

function scaleAll(a: Matrix, factor: number): Matrix {
  return { ...a, data: a.data.map((value) => factor * value) };
}

/** The old update times alpha: exact in every rank, no decomposition. A zero adapter keeps A, so that it can learn. */
function scaled(old: LoraFactors, alpha: number, shape: FusedShape): LoraFactors {
  if (shape.rank === old.rank) {
    return alpha === 1 ? old : { ...old, b: old.b.map((value) => (alpha === 0 ? 0 : alpha * value)) };
  }
  const factors = emptyFactors(old, shape);
  const factor = (alpha * old.scaling) / shape.scaling;
  for (let i = 0; i < old.outFeatures; i++) {
    for (let k = 0; k < old.rank; k++) factors.b[i * shape.rank + k] = factor * old.b[i * old.rank + k]!;
  }
  return factors;
}

/** The core of the target, [k + r, k + r]. */
function coreOf({ change, oldCore }: PreparedModule, { alpha, beta }: Coefficients): Matrix {
  const core = scaleAll(oldCore, alpha);
  for (let i = 0; i < change.rank; i++) core.data[i * core.cols + i]! += beta * change.s[i]!;
  return core;
}

function truncate(prepared: PreparedModule, coefficients: Coefficients, shape: FusedShape): FusedModule {
  const { all, ...leading } = truncatedSvd(coreOf(prepared, coefficients), shape.rank);
  let lost = 0;
  for (let i = shape.rank; i < all.length; i++) lost += all[i]! ** 2;
  return { factors: balancedFactors(prepared, leading, shape), truncationError: Math.sqrt(lost) };
}

/**
 * With the core's leading triplets P, Σ, N: B′ = [U, Q_Lᵀ] P √(Σ/s) and A′ = √(Σ/s) Nᵀ [V, Q_Rᵀ]ᵀ, so that s · B′A′ is the
 * product and both factors have equal norms. Directions without a singular value (the target's rank is below the
 * adapter's) are those of {@link emptyFactors}.
 */
function balancedFactors(
  { old, left, right }: PreparedModule,
  { u, s, v }: SvdFactors,
  shape: FusedShape,
): LoraFactors {
  const { inFeatures, outFeatures } = old;
  const roots = s.map((value) => Math.sqrt(value / shape.scaling));
  const newLeft = expandRows(left, transpose(scaleColumns(u, roots)));
  const newRight = expandRows(right, transpose(scaleColumns(v, roots)));
  const factors = emptyFactors(old, shape);
  const floor = Number.EPSILON * (s[0] ?? 0);
  for (let k = 0; k < s.length; k++) {
    if (s[k]! <= floor) continue;
    factors.a.set(newRight.data.subarray(k * inFeatures, (k + 1) * inFeatures), k * inFeatures);
    for (let i = 0; i < outFeatures; i++) factors.b[i * shape.rank + k] = newLeft.data[k * outFeatures + i]!;
  }
  return factors;
}

/**
 * Factors with an update of zero that can learn: B is zero, and A has the old rows and below them, where the rank is
 * larger, fresh ones, uniform in ±1/√inFeatures as in a new adapter. With both at zero the gradients would be zero for
 * ever.
 */
function emptyFactors(old: LoraFactors, { rank, scaling }: FusedShape): LoraFactors {
  const { inFeatures, outFeatures } = old;
  const a = new Float32Array(rank * inFeatures);
  a.set(old.a);
  const random = Random.fromSeed(rank);
  const bound = 1 / Math.sqrt(inFeatures);
  for (let i = old.a.length; i < a.length; i++) a[i] = (2 * random.uniform() - 1) * bound;
  return { ...old, rank, scaling, a, b: new Float32Array(outFeatures * rank) };
}

/** The rows [m, n] that have the given coordinates [m, k + r]. */
function expandRows({ directions, rest }: SplitRows, coordinates: Matrix): Matrix {
  const split = directions.cols;
  const out = matmul(columns(coordinates, split, coordinates.cols), rest);
  addTimesTransposed(out, 1, columns(coordinates, 0, split), directions);
  return out;
}
