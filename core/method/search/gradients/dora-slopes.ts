import type { BaseModel } from '../../../models/base-model.ts';
import type { Adapter, LoraFactors } from '../../../models/lora/adapter.ts';
import { matmul, matmulTransposed } from '../../../linalg/matmul.ts';
import { matrix, transpose, zeros, type Matrix } from '../../../linalg/matrix.ts';
import { addTimesTransposed } from '../../../linalg/add-product.ts';
import type { Evolution, ModuleEvolution } from '../../evolution/evolution.ts';
import { rowNormsAt, rowNormSlopesAt } from '../../evolution/row-norms.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { fusedMagnitude } from '../../fusion/fused-magnitude.ts';
import { adaptedModules } from '../../fusion/fusion.ts';

/**
 * Inner products by rows, [outFeatures] each, of the three parts of a module's weight: W_new (w), the old update
 * P = s · B A (p), and the change D = U S Vᵀ (d).
 */
export interface RowProducts {
  readonly ww: Float32Array;
  readonly wp: Float64Array;
  readonly wd: Float64Array;
  readonly pp: Float64Array;
  readonly pd: Float64Array;
  readonly dd: Float64Array;
}

/**
 * The row products of every module. They take one product of the new base's weights with the factors and serve all
 * coefficients.
 * @param weights weights of the new base, by tensor name
 * @throws RangeError if the weight of an adapted module is missing
 */
export function doraRowProducts(
  adapter: Adapter,
  evolution: Evolution,
  weights: BaseModel['weights'],
): Map<string, RowProducts> {
  const products = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const weight = weights.get(`${name}.weight`);
    if (!weight) throw new RangeError(`the weight of module ${name} is missing, and DoRA's norms depend on it`);
    return [name, rowProducts(old, change, weight.data)] as const;
  });
  return new Map(products);
}

/** Computed without forming P and D: with R = [A; Vᵀ], P = [s · B | 0] R and D = [0 | U S] R. */
function rowProducts(old: LoraFactors, change: ModuleEvolution, weight: Float32Array): RowProducts {
  const { outFeatures, inFeatures, rank, scaling } = old;
  const a = matrix(rank, inFeatures, old.a);
  const v = transpose(matrix(inFeatures, change.rank, change.v));
  const b = old.b.map((value) => scaling * value);
  const us = change.u.map((value, i) => value * change.s[i % change.rank]!);
  const p = matrix(outFeatures, rank, b);
  const d = matrix(outFeatures, change.rank, us);
  const tall = { rows: outFeatures, cols: inFeatures, data: weight };
  const onWeight = (x: Matrix) => {
    const out = zeros(x.rows, outFeatures);
    addTimesTransposed(out, 1, x, tall);
    return transpose(out);
  };
  return {
    ww: change.rowSquares.subarray(outFeatures, 2 * outFeatures),
    wp: rowDots(p, onWeight(a)),
    wd: rowDots(d, onWeight(v)),
    pp: rowDots(p, matmul(p, matmulTransposed(a, a))),
    pd: rowDots(p, matmul(d, matmulTransposed(v, a))),
    dd: rowDots(d, d),
  };
}

function rowDots(x: Matrix, y: Matrix): Float64Array {
  return Float64Array.from({ length: x.rows }, (_, i) => {
    let sum = 0;
    for (let j = i * x.cols; j < (i + 1) * x.cols; j++) sum += x.data[j]! * y.data[j]!;
    return sum;
  });
}

interface MagnitudeSlopesTask {
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
  readonly rows: RowProducts;
  /** The coefficients at which the gradient was taken. */
  readonly coefficients: Coefficients;
  /** ∂loss/∂m of the stacked adapter, [outFeatures]. */
  readonly gradient: Float32Array;
}

/**
 * DoRA's contribution to the slopes of a module (ours). A row of the adapted weight is m · v / ‖v‖ with
 * v = W_new + alpha · P + beta · D. The engine's gradients treat ‖v‖ as constant, as PEFT's do. But the magnitude and the norm
 * both depend on the coefficients, and the loss has the slope −∂loss/∂m · m / ‖v‖ along the norm. For either coefficient c
 * this adds Σ ∂loss/∂m · (∂m/∂c − m / ‖v‖² · ½ ∂‖v‖²/∂c) over the rows.
 * @throws RangeError if the old factors have no magnitude
 */
export function magnitudeSlopes({ old, change, rows, coefficients, gradient }: MagnitudeSlopesTask): Coefficients {
  const { alpha, beta } = coefficients;
  const { ww, wp, wd, pp, pd, dd } = rows;
  if (!old.magnitude) throw new RangeError('the old factors have no magnitude, expected factors of DoRA');
  const base = rowNormsAt(change.rowSquares, beta);
  const baseSlopes = rowNormSlopesAt(change.rowSquares, beta);
  const magnitude = fusedMagnitude(old.magnitude, change, coefficients);
  const sums = { alpha: 0, beta: 0 };
  for (let i = 0; i < gradient.length; i++) {
    const alongP = wp[i]! + alpha * pp[i]! + beta * pd[i]!;
    const alongD = wd[i]! + alpha * pd[i]! + beta * dd[i]!;
    const squares = ww[i]! + alpha * (wp[i]! + alongP) + beta * (wd[i]! + alongD);
    const share = magnitude[i]! / squares;
    sums.alpha += gradient[i]! * (old.magnitude[i]! - base[i]! - share * alongP);
    sums.beta += gradient[i]! * ((1 - alpha) * baseSlopes[i]! - share * alongD);
  }
  return sums;
}
