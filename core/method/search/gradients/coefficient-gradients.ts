import type { Adapter, LoraFactors, TrainableArrays } from '../../../models/lora/adapter.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { magnitudeSlopes, type RowProducts } from './dora-slopes.ts';
import type { Evolution, ModuleEvolution } from '../../evolution/evolution.ts';
import { withFusedMagnitude } from '../../fusion/fused-magnitude.ts';
import { coefficientsOf, type GroupedCoefficients, type Grouping } from '../../fusion/grouping.ts';

/** One number for alpha and one for beta, by module or by group: slopes of the loss, or weights of the two directions. */
export type CoefficientSlopes = ReadonlyMap<string, Coefficients>;

/**
 * The whole target alpha · s · B A + beta · U S Vᵀ, not truncated, as an adapter of rank r + k with scaling 1:
 * B′ = [alpha · s · B | beta · U S], A′ = [A; Vᵀ]. The coefficients stand in B′ alone, so that gradients with respect to
 * B′ hold what {@link coefficientGradients} needs also where a coefficient is zero. Made for a runtime: its
 * configuration is the old adapter's and does not state these ranks.
 */
export function stackedAdapter(
  adapter: Adapter,
  evolution: Evolution,
  coefficients: Coefficients | GroupedCoefficients,
): Adapter {
  const modules = [...adapter.modules].map(([name, old]) => {
    return [name, stack(old, evolution.modules.get(name)!, coefficientsOf(name, coefficients))] as const;
  });
  return { config: adapter.config, modules: new Map(modules) };
}

function stack(old: LoraFactors, change: ModuleEvolution, coefficients: Coefficients): LoraFactors {
  const { alpha, beta } = coefficients;
  const { inFeatures, outFeatures } = old;
  const rank = old.rank + change.rank;
  const a = new Float32Array(rank * inFeatures);
  a.set(old.a);
  for (let j = 0; j < inFeatures; j++) {
    for (let k = 0; k < change.rank; k++) a[(old.rank + k) * inFeatures + j] = change.v[j * change.rank + k]!;
  }
  const b = new Float32Array(outFeatures * rank);
  for (let i = 0; i < outFeatures; i++) {
    const row = i * rank;
    for (let k = 0; k < old.rank; k++) b[row + k] = alpha * old.scaling * old.b[i * old.rank + k]!;
    for (let k = 0; k < change.rank; k++) b[row + old.rank + k] = beta * change.u[i * change.rank + k]! * change.s[k]!;
  }
  return withFusedMagnitude({ ...old, rank, scaling: 1, a, b }, change, coefficients);
}

/**
 * ∂loss/∂alpha and ∂loss/∂beta of every module: with G = ∂loss/∂W, the gradient with respect to B′ of the stacked adapter
 * is G [Aᵀ | V], hence ⟨G, s · B A⟩ = ⟨∂loss/∂B′[:, :r], s · B⟩ and ⟨G, U S Vᵀ⟩ = ⟨∂loss/∂B′[:, r:], U S⟩. Under DoRA, what
 * its magnitudes and norms add.
 * @param gradients of the {@link stackedAdapter}, at whatever coefficients
 * @param dora needed for an adapter that is one
 */
export function coefficientGradients(
  adapter: Adapter,
  evolution: Evolution,
  gradients: ReadonlyMap<string, TrainableArrays>,
  dora?: DoraPoint,
): CoefficientSlopes {
  const slopes = [...adapter.modules].map(([name, old]) => {
    const change = evolution.modules.get(name)!;
    const { b, magnitude } = gradients.get(name)!;
    const slopes = slopesOf(old, change, b);
    if (!magnitude) return [name, slopes] as const;
    if (!dora)
      throw new RangeError(`module ${name} is of DoRA: its slopes need the coefficients and the products of rows`);
    const coefficients = coefficientsOf(name, dora.coefficients);
    const added = magnitudeSlopes({ old, change, rows: dora.rows.get(name)!, coefficients, gradient: magnitude });
    return [name, { alpha: slopes.alpha + added.alpha, beta: slopes.beta + added.beta }] as const;
  });
  return new Map(slopes);
}

/** Where the gradients were taken. */
export interface DoraPoint {
  readonly coefficients: Coefficients | GroupedCoefficients;
  /** See {@link doraRowProducts}. */
  readonly rows: ReadonlyMap<string, RowProducts>;
}

function slopesOf(old: LoraFactors, change: ModuleEvolution, gradient: Float32Array): Coefficients {
  const rank = old.rank + change.rank;
  let alpha = 0;
  let beta = 0;
  for (let i = 0; i < old.outFeatures; i++) {
    for (let k = 0; k < old.rank; k++) alpha += gradient[i * rank + k]! * old.b[i * old.rank + k]!;
    for (let k = 0; k < change.rank; k++) {
      beta += gradient[i * rank + old.rank + k]! * change.u[i * change.rank + k]! * change.s[k]!;
    }
  }
  return { alpha: old.scaling * alpha, beta };
}

/** ‖s · B A‖² and ‖U S Vᵀ‖² of every module: how far the weights move by one unit of alpha and of beta. */
export function directionSquares(adapter: Adapter, evolution: Evolution): CoefficientSlopes {
  const squares = [...adapter.modules].map(([name, old]) => {
    const beta = evolution.modules.get(name)!.s.reduce((sum, value) => sum + value ** 2, 0);
    return [name, { alpha: old.scaling ** 2 * productSquares(old), beta }] as const;
  });
  return new Map(squares);
}

/** ‖B A‖² = Σ (BᵀB) ∘ (A Aᵀ) */
function productSquares({ a, b, rank, inFeatures, outFeatures }: LoraFactors): number {
  let sum = 0;
  for (let k = 0; k < rank; k++) {
    for (let l = 0; l < rank; l++) {
      let left = 0;
      for (let i = 0; i < outFeatures; i++) left += b[i * rank + k]! * b[i * rank + l]!;
      let right = 0;
      for (let j = 0; j < inFeatures; j++) right += a[k * inFeatures + j]! * a[l * inFeatures + j]!;
      sum += left * right;
    }
  }
  return sum;
}

/** Sums over the modules of each group: by the chain rule the slopes of coefficients that a group shares. */
export function sumByGroup(slopes: CoefficientSlopes, grouping: Grouping): CoefficientSlopes {
  const sums = new Map<string, Coefficients>();
  for (const [module, { alpha, beta }] of slopes) {
    const group = grouping(module);
    const sum = sums.get(group) ?? { alpha: 0, beta: 0 };
    sums.set(group, { alpha: sum.alpha + alpha, beta: sum.beta + beta });
  }
  return sums;
}
