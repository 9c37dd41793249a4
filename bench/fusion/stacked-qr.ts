import type { LoraFactors } from '../../core/models/lora/adapter.ts';
import type { Coefficients } from '../../core/method/fusion/coefficients.ts';
import type { ModuleEvolution } from '../../core/method/evolution/evolution.ts';
import { matmul, matmulTransposed } from '../../core/linalg/matmul.ts';
import {
  columns,
  concatColumns,
  matrix,
  scaleColumns,
  transpose,
  zeros,
  type Matrix,
} from '../../core/linalg/matrix.ts';
import { qr } from '../../core/linalg/qr.ts';
import { truncatedSvd, type SvdFactors } from '../../core/linalg/svd.ts';
import type { FusedModule, ModuleFusion } from '../../core/method/fusion/module-fusion.ts';

/**
 * What fusion is measured against: both stacks of factors are made orthonormal whole, by Householder QR.
 * The target alpha · s · B A + beta · U S Vᵀ lies in the span of [B, U] on the left and of [Aᵀ, V] on the right. With
 * [B, U] = Q_L R_L and [Aᵀ, V] = Q_R R_R it is Q_L C Q_Rᵀ with a small core
 * C = alpha · s · R_L[:, :r] R_R[:, :r]ᵀ + beta · R_L[:, r:] S R_R[:, r:]ᵀ, whose SVD is that of the target.
 */
export function prepareModule(old: LoraFactors, change: ModuleEvolution): Pick<ModuleFusion, 'at'> {
  const left = qr(
    concatColumns(matrix(old.outFeatures, old.rank, old.b), matrix(old.outFeatures, change.rank, change.u)),
  );
  const rightOld = transpose(matrix(old.rank, old.inFeatures, old.a));
  const right = qr(concatColumns(rightOld, matrix(old.inFeatures, change.rank, change.v)));
  const core = (start: number, weights: Float64Array) =>
    coreOf(columns(left.r, start, start + weights.length), weights, columns(right.r, start, start + weights.length));
  const oldCore = core(0, new Float64Array(old.rank).fill(old.scaling));
  const changeCore = core(old.rank, Float64Array.from(change.s));
  const prepared: PreparedModule = { old, leftBasis: left.q, rightBasis: right.q, oldCore, changeCore };
  return {
    at({ alpha, beta }) {
      if (beta === 0 || change.rank === 0) return { factors: scaled(old, alpha), truncationError: 0 };
      return truncate(prepared, { alpha, beta });
    },
  };
}

interface PreparedModule {
  readonly old: LoraFactors;
  readonly leftBasis: Matrix;
  readonly rightBasis: Matrix;
  readonly oldCore: Matrix;
  readonly changeCore: Matrix;
}

/** left diag(weights) rightᵀ */
function coreOf(left: Matrix, weights: Float64Array, right: Matrix): Matrix {
  return matmulTransposed(scaleColumns(left, weights), right);
}

/** The old update times alpha: exact in every rank, no decomposition. A zero adapter keeps A, so that it can learn. */
function scaled(old: LoraFactors, alpha: number): LoraFactors {
  return alpha === 1 ? old : { ...old, b: old.b.map((value) => (alpha === 0 ? 0 : alpha * value)) };
}

function truncate(prepared: PreparedModule, { alpha, beta }: Coefficients): FusedModule {
  const { old, oldCore, changeCore } = prepared;
  const core = zeros(oldCore.rows, oldCore.cols);
  for (let i = 0; i < core.data.length; i++) core.data[i] = alpha * oldCore.data[i]! + beta * changeCore.data[i]!;
  const { all, ...leading } = truncatedSvd(core, old.rank);
  let lost = 0;
  for (let i = old.rank; i < all.length; i++) lost += all[i]! ** 2;
  return { factors: balancedFactors(prepared, leading), truncationError: Math.sqrt(lost) };
}

/**
 * B′ = Q_L U √(Σ/s) and A′ = √(Σ/s) Vᵀ Q_Rᵀ, so that s · B′A′ is the product and both factors have equal norms.
 * A direction without a singular value (the target's rank is below the adapter's) has a zero column in B′ and the old
 * adapter's row in A′: with both at zero its gradients would be zero for ever.
 */
function balancedFactors({ old, leftBasis, rightBasis }: PreparedModule, { u, s, v }: SvdFactors): LoraFactors {
  const { rank, inFeatures } = old;
  const roots = s.map((value) => Math.sqrt(value / old.scaling));
  const right = matmulTransposed(transpose(scaleColumns(v, roots)), rightBasis);
  const left = matmul(leftBasis, scaleColumns(u, roots));
  const a = old.a.slice();
  const b = new Float32Array(old.outFeatures * rank);
  const floor = Number.EPSILON * (s[0] ?? 0);
  for (let k = 0; k < s.length; k++) {
    if (s[k]! <= floor) continue;
    a.set(right.data.subarray(k * inFeatures, (k + 1) * inFeatures), k * inFeatures);
    for (let i = 0; i < old.outFeatures; i++) b[i * rank + k] = left.data[i * s.length + k]!;
  }
  return { ...old, a, b };
}
