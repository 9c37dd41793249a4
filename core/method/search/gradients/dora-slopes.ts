import type { Adapter, LoraFactors } from '../../../models/lora/adapter.ts';
import type { BaseModel } from '../../../models/base-model.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import type { Evolution, ModuleEvolution } from '../../evolution/evolution.ts';
import { fusedMagnitude } from '../../fusion/fused-magnitude.ts';
import { matmul, matmulTransposed } from '../../../linalg/matmul.ts';
import { matrix, transpose, zeros, type Matrix } from '../../../linalg/matrix.ts';
import { addTimesTransposed } from '../../../linalg/row-basis.ts';
import { rowNormsAt, rowNormSlopesAt } from '../../evolution/row-norms.ts';

/** Inner products of the rows of W_new (w), of the old update P = s · B A (p) and of the change D = U S Vᵀ (d), [out] each. */
export interface RowProducts {
  readonly ww: Float32Array;
  readonly wp: Float64Array;
  readonly wd: Float64Array;
  readonly pp: Float64Array;
  readonly pd: Float64Array;
  readonly dd: Float64Array;
}

/** Of every module, from one product of the new base's weights with the factors: the same for all coefficients. */
export function doraRowProducts(
  adapter: Adapter,
  evolution: Evolution,
  weights: BaseModel['weights'],
): Map<string, RowProducts> {
  const products = [...adapter.modules].map(([name, old]) => {
    const weight = weights.get(`${name}.weight`);
    if (!weight) throw new RangeError(`the weight of ${name} is missing, expected it: DoRA's norms depend on it`);
    return [name, rowProducts(old, evolution.modules.get(name)!, weight.data)] as const;
  });
  return new Map(products);
}

/** With R = [A; Vᵀ], P = [s · B | 0] R and D = [0 | U S] R. */
function rowProducts(old: LoraFactors, change: ModuleEvolution, weight: Float32Array): RowProducts {
  const { outFeatures, inFeatures, rank, scaling } = old;
  const a = matrix(rank, inFeatures, old.a);
  const v = transpose(matrix(inFeatures, change.rank, change.v));
  const p = matrix(
    outFeatures,
    rank,
    old.b.map((value) => scaling * value),
  );
  const d = matrix(
    outFeatures,
    change.rank,
    change.u.map((value, i) => value * change.s[i % change.rank]!),
  );
  const tall = { rows: outFeatures, cols: inFeatures, data: weight };
  const onWeight = (x: Matrix) => {
    const out = zeros(x.rows, outFeatures);
    addTimesTransposed(out, 1, x, tall);
    return transpose(out);
  };
  const { rowSquares } = change;
  return {
    ww: rowSquares.subarray(outFeatures, 2 * outFeatures),
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

export interface MagnitudeSlopesTask {
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
  readonly rows: RowProducts;
  readonly coefficients: Coefficients;
  /** ∂loss/∂m of the stacked adapter, [outFeatures]. */
  readonly gradient: Float32Array;
}

/**
 * What DoRA adds to a module's slopes. A row of the adapted weight is m · v / ‖v‖ with v = W_new + alpha · P + beta · D; the
 * engine's gradients hold ‖v‖ constant. The magnitude moves with the coefficients, and so does the norm, along which the
 * loss has the slope −∂loss/∂m · m / ‖v‖: for either coefficient c
 *   Σ ∂loss/∂m · (∂m/∂c − m / ‖v‖² · ½ ∂‖v‖²/∂c)   over rows.
 */
export function magnitudeSlopes({ old, change, rows, coefficients, gradient }: MagnitudeSlopesTask): Coefficients {
  const { alpha, beta } = coefficients;
  const { ww, wp, wd, pp, pd, dd } = rows;
  const base = rowNormsAt(change.rowSquares, beta);
  const baseSlopes = rowNormSlopesAt(change.rowSquares, beta);
  const magnitude = fusedMagnitude(old.magnitude!, change, coefficients);
  const sums = { alpha: 0, beta: 0 };
  for (let i = 0; i < gradient.length; i++) {
    const alongP = wp[i]! + alpha * pp[i]! + beta * pd[i]!;
    const alongD = wd[i]! + alpha * pd[i]! + beta * dd[i]!;
    const squares = ww[i]! + alpha * (wp[i]! + alongP) + beta * (wd[i]! + alongD);
    const share = magnitude[i]! / squares;
    sums.alpha += gradient[i]! * (old.magnitude![i]! - base[i]! - share * alongP);
    sums.beta += gradient[i]! * ((1 - alpha) * baseSlopes[i]! - share * alongD);
  }
  return sums;
}
