import type { LoraFactors } from '../../models/lora/adapter.ts';
import { Random } from '../../statistics/random.ts';
import { matmul } from '../../linalg/matmul.ts';
import { columns, concatColumns, matrix, scaleAll, scaleColumns, transpose, type Matrix } from '../../linalg/matrix.ts';
import { addTimesTransposed, orthonormalizeRows, timesTall, type TallMatrix } from '../../linalg/row-basis.ts';
import { truncatedSvd, type SvdFactors } from '../../linalg/svd.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import type { Coefficients } from './coefficients.ts';
import { withFusedMagnitude } from './fused-magnitude.ts';
import type { FusedShape } from './fusion-rank.ts';

interface FusedModule {
  readonly factors: LoraFactors;
  /** Frobenius norm of the full update minus the product s · B′A′. */
  readonly truncationError: number;
}

/** One module of an adapter, prepared to be fused at any coefficients. */
export interface ModuleFusion {
  /** @param shape rank (at least the old one) and scaling of the result; by default those of the old factors */
  at(coefficients: Coefficients, shape?: FusedShape): FusedModule;
  /** All singular values of the full update, descending. */
  singularValues(coefficients: Coefficients): Float64Array;
}

/**
 * Prepares a module for the truncation of the full update alpha · s · B A + beta · U S Vᵀ (ours; see ADR 3). The update lies
 * in the span of [U, B] on the left and of [V, Aᵀ] on the right. U and V are already orthonormal, so only the parts of B and
 * Aᵀ outside of them are orthonormalized: Bᵀ = c_L Uᵀ + l_L Q_L and A = c_R Vᵀ + l_R Q_R. Then the update is
 * [U, Q_Lᵀ] C [V, Q_Rᵀ]ᵀ with a core of r + k rows and columns, C = alpha · s · [c_L, l_L]ᵀ [c_R, l_R] + beta · diag(S, 0),
 * and the SVD of the core gives that of the update.
 * @param old the old adapter's factors, of rank r
 * @param change the evolution of the module, of rank k
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

/** A matrix X, [r, n], written as coordinates · [directions, restᵀ]ᵀ. */
interface SplitRows {
  /** The evolution's orthonormal directions, [n, k]. */
  readonly directions: TallMatrix;
  /** Orthonormal rows, [r, n], that span what X has outside of the directions. */
  readonly rest: Matrix;
  /** [r, k + r] */
  readonly coordinates: Matrix;
}

/**
 * Splits the rows of X. The directions are orthonormal only to float32 precision (6e-8). The sum is exact nevertheless, and
 * the truncation is off by no more than that.
 */
function splitRows(x: Matrix, directions: Float32Array, rank: number): SplitRows {
  const tall = { rows: x.cols, cols: rank, data: directions };
  const within = timesTall(x, tall);
  const outside = { ...x, data: x.data.slice() };
  addTimesTransposed(outside, -1, within, tall);
  const { l, q } = orthonormalizeRows(outside);
  return { directions: tall, rest: q, coordinates: concatColumns(within, l) };
}

/**
 * The old update times alpha, which needs no decomposition and is exact at every rank. With alpha = 0, A is kept so that
 * the adapter can still be trained.
 */
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

/** The core C of the full update, [k + r, k + r]. */
function coreOf({ change, oldCore }: PreparedModule, { alpha, beta }: Coefficients): Matrix {
  const core = scaleAll(oldCore, alpha);
  change.s.forEach((value, i) => (core.data[i * core.cols + i]! += beta * value));
  return core;
}

function truncate(prepared: PreparedModule, coefficients: Coefficients, shape: FusedShape): FusedModule {
  const { all, ...leading } = truncatedSvd(coreOf(prepared, coefficients), shape.rank);
  const lost = all.subarray(shape.rank).reduce((sum, value) => sum + value ** 2, 0);
  return { factors: balancedFactors(prepared, leading, shape), truncationError: Math.sqrt(lost) };
}

/**
 * The new factors from the core's leading triplets P, Σ, N: B′ = [U, Q_Lᵀ] P √(Σ/s) and A′ = √(Σ/s) Nᵀ [V, Q_Rᵀ]ᵀ. Then
 * s · B′A′ is the truncated update, and both factors have equal norms. If the update's rank is below the adapter's, the
 * directions without a singular value are those of {@link emptyFactors}.
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
 * Factors whose update is zero but can be trained: B is zero, while A has the old rows and, for a larger rank, fresh rows
 * below them, uniform in ±1/√inFeatures as in a new adapter. If A were zero as well, all gradients would stay zero.
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

/** The rows, [m, n], with the given coordinates, [m, k + r], in the basis of a split. */
function expandRows({ directions, rest }: SplitRows, coordinates: Matrix): Matrix {
  const split = directions.cols;
  const out = matmul(columns(coordinates, split, coordinates.cols), rest);
  addTimesTransposed(out, 1, columns(coordinates, 0, split), directions);
  return out;
}
