import type { LoraFactors } from '../../models/lora/adapter.ts';
import { Random } from '../../statistics/random.ts';
import { thinQr } from '../../linalg/gram-factors.ts';
import { matmul, transposedMatmul } from '../../linalg/matmul.ts';
import {
  concatColumns,
  matrix,
  scaleAll,
  toFloat64,
  transpose,
  type DenseMatrix,
  type Matrix,
} from '../../linalg/matrix.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import { gramSvd } from '../../linalg/svd/gram-svd.ts';
import type { ModuleEvolution } from '../evolution/evolution.ts';
import type { Coefficients } from './coefficients.ts';
import { withFusedMagnitude } from './fused-magnitude.ts';
import type { FusedShape } from './fusion-rank.ts';

/**
 * Singular value, as a share of the largest one, below which a direction counts as absent, because float32 factors do
 * not resolve it.
 */
const NEGLIGIBLE = 1e-7;

interface FusedModule {
  readonly factors: LoraFactors;
  /** Frobenius norm of the full update minus the product s · B′A′. */
  readonly truncationError: number;
}

/** Module of an adapter that was prepared to be fused at any coefficients. */
export interface ModuleFusion {
  /**
   * Returns the module fused at these coefficients.
   * @param shape rank (at least the old one) and scaling of the result. Default: those of the old factors
   */
  at(coefficients: Coefficients, shape?: FusedShape): Promise<FusedModule>;
  /** Largest rank that the full update of this module can have. */
  readonly fullRank: number;
}

/**
 * Prepares a module for the truncation of the full update alpha · s · B A + beta · U S Vᵀ (ours; see ADR 7). The update
 * lies in the span of [U, B] on the left and of [V, Aᵀ] on the right. U and V are already orthonormal, so only the
 * parts of B and Aᵀ outside of them are orthonormalized: B = U c_L + Q_L l_L and Aᵀ = V c_R + Q_R l_R. Then the update
 * is [U, Q_L] C [V, Q_R]ᵀ with a core of r + k rows and columns, C = alpha · s · [c_L; l_L] [c_R; l_R]ᵀ + beta ·
 * diag(S, 0), and the SVD of the core gives the SVD of the update. Every step whose cost grows with the module is a
 * matrix product.
 * @param old the old adapter's factors, of rank r
 * @param change the evolution of the module, of rank k
 */
export async function prepareModule(
  old: LoraFactors,
  change: ModuleEvolution,
  products: MatrixProducts,
): Promise<ModuleFusion> {
  const { rank, inFeatures, outFeatures } = old;
  const transposedA = transpose(matrix(rank, inFeatures, old.a));
  const left = await split({ rows: outFeatures, cols: rank, data: old.b }, change.u, change.rank, products);
  const right = await split(transposedA, change.v, change.rank, products);
  const oldCore = matmul(scaleAll(left.coordinates, old.scaling), transpose(right.coordinates));
  const leftGram = transposedMatmul(left.coordinates, left.coordinates);
  const oldGram = scaleAll(
    matmul(matmul(right.coordinates, leftGram), transpose(right.coordinates)),
    old.scaling * old.scaling,
  );
  const prepared: PreparedModule = { old, change, left, right, oldCore, oldGram };
  return {
    async at(coefficients, shape = old) {
      const { factors, truncationError } =
        coefficients.beta !== 0 && change.rank > 0
          ? await truncate(prepared, coefficients, shape, products)
          : { factors: scaled(old, coefficients.alpha, shape), truncationError: 0 };
      return {
        factors: coefficients.alpha === 1 ? factors : withFusedMagnitude(factors, change, coefficients),
        truncationError,
      };
    },
    fullRank: Math.min(outFeatures, inFeatures, rank + change.rank),
  };
}

interface PreparedModule {
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
  readonly left: Split;
  readonly right: Split;
  /** Old update in the coordinates of both bases, s · [c_L; l_L] [c_R; l_R]ᵀ, [k + r, k + r]. */
  readonly oldCore: Matrix;
  /** Gram matrix of the old update's coordinates, oldCoreᵀ · oldCore, [k + r, k + r]. */
  readonly oldGram: Matrix;
}

/** Tall matrix Y, [n, r], as the product of orthonormal columns and coordinates: [directions, rest] · coordinates. */
interface Split {
  /** Orthonormal directions of the evolution, [n, k]. */
  readonly directions: DenseMatrix;
  /** Orthonormal columns, [n, r], that span the part of Y outside the directions. */
  readonly rest: DenseMatrix;
  /** Coordinates of the columns of Y in [directions, rest], [k + r, r]. */
  readonly coordinates: Matrix;
}

/**
 * Splits a tall matrix into the factors of {@link Split}. The directions of the evolution are orthonormal only to
 * float32 precision (6e-8). The product of the factors is nevertheless exact to the precision of the matrix products,
 * and the truncation is off by no more than this precision.
 */
async function split(y: DenseMatrix, found: Float32Array, count: number, products: MatrixProducts): Promise<Split> {
  const directions = { rows: y.rows, cols: count, data: found };
  if (count === 0) {
    const { q, r } = await thinQr(y, products);
    return { directions, rest: q, coordinates: r };
  }
  const within = await products.transposedTimes(directions, y);
  const { data } = await products.times(directions, within);
  for (let i = 0; i < data.length; i++) data[i] = y.data[i]! - data[i]!;
  const { q, r } = await thinQr({ ...y, data }, products);
  return { directions, rest: q, coordinates: stackRows(toFloat64(within), r) };
}

/** Returns the matrix [a; b], with the rows of a above those of b. */
function stackRows(a: Matrix, b: Matrix): Matrix {
  return transpose(concatColumns(transpose(a), transpose(b)));
}

/**
 * Returns the factors of the old update times alpha, which need no decomposition and are exact at every rank. With
 * alpha = 0, A is kept so that the adapter can still be trained.
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

/**
 * Returns the leading singular triplets of the core C = alpha · M + beta · D of the full update, [k + r, k + r], with M
 * the old core and D = diag(S, 0). Its Gram matrix alpha² · MᵀM + alpha · beta · (MᵀD + DM) + beta² · D² takes no
 * product, since MᵀM is known.
 */
function svdOf({ change, oldCore, oldGram }: PreparedModule, { alpha, beta }: Coefficients, rank: number) {
  const n = oldCore.cols;
  const core = scaleAll(oldCore, alpha);
  const gram = scaleAll(oldGram, alpha * alpha);
  const s = new Float64Array(n);
  s.set(change.s);
  for (let i = 0; i < n; i++) {
    const at = i * n;
    for (let j = i; j < n; j++) {
      gram.data[at + j]! += alpha * beta * (oldCore.data[j * n + i]! * s[j]! + s[i]! * oldCore.data[at + j]!);
    }
    core.data[at + i]! += beta * s[i]!;
    gram.data[at + i]! += (beta * s[i]!) ** 2;
  }
  return gramSvd(core, gram, rank);
}

async function truncate(
  prepared: PreparedModule,
  coefficients: Coefficients,
  shape: FusedShape,
  products: MatrixProducts,
): Promise<FusedModule> {
  const { u, s, v, squares } = svdOf(prepared, coefficients, shape.rank);
  const lost = squares.subarray(shape.rank).reduce((sum, value) => sum + value, 0);
  const roots = s.map((value) => Math.sqrt(value / shape.scaling));
  const { old, change, left, right } = prepared;
  const onLeft = coordinateRows(u, roots, change.rank);
  const onRight = coordinateRows(v, roots, change.rank);
  const b = await products.sumOfTimesTransposed(left.directions, onLeft.within, left.rest, onLeft.outside);
  const a = await products.sumOfTimesTransposed(onRight.within, right.directions, onRight.outside, right.rest);
  const floor = NEGLIGIBLE * (s[0] ?? 0);
  const kept = s.filter((value) => value > floor).length;
  return { factors: balancedFactors(old, b, a, kept, shape), truncationError: Math.sqrt(lost) };
}

/** Coordinates of m vectors in the orthonormal columns of a {@link Split}, one vector in each row. */
interface CoordinateRows {
  /** Coordinates along the directions of the evolution, [m, k]. */
  readonly within: DenseMatrix;
  /** Coordinates along the remaining columns, [m, r]. */
  readonly outside: DenseMatrix;
}

/**
 * Scales each of the first `count` columns of a matrix [k + r, m] by its factor, and returns these columns as rows of
 * coordinates.
 */
function coordinateRows({ rows, cols, data }: Matrix, factors: Float64Array, count: number): CoordinateRows {
  const part = (from: number, to: number): DenseMatrix => {
    const out = { rows: cols, cols: to - from, data: new Float64Array(cols * (to - from)) };
    for (let j = 0, at = 0; j < cols; j++) {
      for (let i = from; i < to; i++) out.data[at++] = factors[j]! * data[i * cols + j]!;
    }
    return out;
  };
  return { within: part(0, count), outside: part(count, rows) };
}

/**
 * Returns the new factors from the core's leading triplets P, Σ, N: B′ = [U, Q_L] P √(Σ/s) and A′ᵀ = [V, Q_R] N √(Σ/s).
 * Then s · B′A′ is the truncated update, and both factors have equal norms. If the update's rank is below the
 * adapter's, the directions without a singular value are those of {@link emptyFactors}.
 * @param b B′, [outFeatures, number of computed directions]; if in float32, its array may become part of the factors
 * @param a A′, [number of computed directions, inFeatures]; if in float32, its array may become part of the factors
 * @param kept number of directions that have a singular value
 */
function balancedFactors(
  old: LoraFactors,
  b: DenseMatrix,
  a: DenseMatrix,
  kept: number,
  { rank, scaling }: FusedShape,
): LoraFactors {
  if (kept === rank && a.data instanceof Float32Array && b.data instanceof Float32Array) {
    return { ...old, rank, scaling, a: a.data, b: b.data };
  }
  const factors = emptyFactors(old, { rank, scaling });
  factors.a.set(a.data.subarray(0, kept * a.cols));
  for (let i = 0; i < b.rows; i++) {
    factors.b.set(b.data.subarray(i * b.cols, i * b.cols + kept), i * rank);
  }
  return factors;
}

/**
 * Returns factors whose update is zero but that can be trained: B is zero, while A has the old rows and, for a larger
 * rank, fresh rows below them, uniform in ±1/√inFeatures as in a new adapter. If A were zero as well, all gradients
 * would stay zero.
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
