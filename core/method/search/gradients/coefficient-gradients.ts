import type { Adapter, LoraFactors, TrainableArrays } from '../../../models/lora/adapter.ts';
import type { Evolution, ModuleEvolution } from '../../evolution/evolution.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { withFusedMagnitude } from '../../fusion/fused-magnitude.ts';
import { adaptedModules } from '../../fusion/fusion.ts';
import { coefficientsOf, type GroupedCoefficients, type Grouping } from '../../fusion/grouping.ts';
import { magnitudeSlopes, type RowProducts } from './dora-slopes.ts';

/** A number for alpha and one for beta, by module or by group: slopes of the loss, or squared lengths of the directions. */
export type CoefficientSlopes = ReadonlyMap<string, Coefficients>;

/**
 * The full update alpha · s · B A + beta · U S Vᵀ, without truncation, as an adapter of rank r + k with scaling 1:
 * B′ = [alpha · s · B | beta · U S], A′ = [A; Vᵀ]. The coefficients appear in B′ only, so that gradients with respect to B′
 * contain what {@link coefficientGradients} needs even where a coefficient is zero. The adapter is only meant for a
 * runtime: its configuration is the old adapter's and does not state these ranks.
 */
export function stackedAdapter(
  adapter: Adapter,
  evolution: Evolution,
  coefficients: Coefficients | GroupedCoefficients,
): Adapter {
  const modules = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const { alpha, beta } = coefficientsOf(name, coefficients);
    const factors = stack(old, change, { alpha, betaOf: () => beta });
    return [name, withFusedMagnitude(factors, change, { alpha, beta })] as const;
  });
  return { config: adapter.config, modules: new Map(modules) };
}

/**
 * Like {@link stackedAdapter}, with alpha = 1 and a beta for each direction of the change: s · B A + U diag(beta · S) Vᵀ.
 * @param betas of each module, in the order of its singular values
 * @throws RangeError if the betas of a module are missing or too few
 */
export function stackedDirections(
  adapter: Adapter,
  evolution: Evolution,
  betas: ReadonlyMap<string, Float64Array>,
): Adapter {
  const modules = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const own = betas.get(name);
    if (own?.length === change.rank) return [name, stack(old, change, { alpha: 1, betaOf: (k) => own[k]! })] as const;
    throw new RangeError(`module ${name} has ${own?.length ?? 'no'} betas, expected ${change.rank}`);
  });
  return { config: adapter.config, modules: new Map(modules) };
}

interface StackedCoefficients {
  readonly alpha: number;
  /** The coefficient of a direction of the change. */
  readonly betaOf: (direction: number) => number;
}

function stack(old: LoraFactors, change: ModuleEvolution, { alpha, betaOf }: StackedCoefficients): LoraFactors {
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
    for (let k = 0; k < change.rank; k++) {
      b[row + old.rank + k] = betaOf(k) * change.u[i * change.rank + k]! * change.s[k]!;
    }
  }
  return { ...old, rank, scaling: 1, a, b };
}

/** The coefficients at which gradients of a DoRA adapter were taken. */
interface DoraPoint {
  readonly coefficients: Coefficients | GroupedCoefficients;
  /** Made by `doraRowProducts`. */
  readonly rows: ReadonlyMap<string, RowProducts>;
}

/**
 * ∂loss/∂alpha and ∂loss/∂beta of every module (ours). With G = ∂loss/∂W, the gradient with respect to B′ of the stacked
 * adapter is G [Aᵀ | V], so that ⟨G, s · B A⟩ = ⟨∂loss/∂B′[:, :r], s · B⟩ and ⟨G, U S Vᵀ⟩ = ⟨∂loss/∂B′[:, r:], U S⟩. Under
 * DoRA, the contribution of magnitudes and norms is added.
 * @param gradients gradients of the {@link stackedAdapter} by module, at any coefficients
 * @param dora required if the adapter is a DoRA adapter
 * @throws RangeError if the gradients of a module, or `dora`, are missing
 */
export function coefficientGradients(
  adapter: Adapter,
  evolution: Evolution,
  gradients: ReadonlyMap<string, TrainableArrays>,
  dora?: DoraPoint,
): CoefficientSlopes {
  const slopes = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const gradient = gradients.get(name);
    if (!gradient) throw new RangeError(`the gradients of module ${name} are missing`);
    const slopes = slopesOf(old, change, gradient.b);
    if (!gradient.magnitude) return [name, slopes] as const;
    const rows = dora?.rows.get(name);
    if (!dora || !rows)
      throw new RangeError(`module ${name} is of DoRA: its slopes need the coefficients and the products of rows`);
    const coefficients = coefficientsOf(name, dora.coefficients);
    const added = magnitudeSlopes({ old, change, rows, coefficients, gradient: gradient.magnitude });
    return [name, { alpha: slopes.alpha + added.alpha, beta: slopes.beta + added.beta }] as const;
  });
  return new Map(slopes);
}

function slopesOf(old: LoraFactors, change: ModuleEvolution, gradient: Float32Array): Coefficients {
  const rank = old.rank + change.rank;
  let alpha = 0;
  for (let i = 0; i < old.outFeatures; i++) {
    for (let k = 0; k < old.rank; k++) alpha += gradient[i * rank + k]! * old.b[i * old.rank + k]!;
  }
  const beta = alongDirections(old, change, gradient).reduce((sum, slope) => sum + slope, 0);
  return { alpha: old.scaling * alpha, beta };
}

/**
 * ∂loss/∂beta_k = S_k u_kᵀ G v_k of every direction of the change, by module (ours). G v_k is a column of the gradient with
 * respect to B′ of the stacked adapter, so no G is ever formed.
 * @param gradients gradients of a {@link stackedAdapter} or of {@link stackedDirections}, at any coefficients
 * @throws RangeError if the gradients of a module are missing, or for a DoRA adapter, whose norms depend on the directions, too
 */
export function directionSlopes(
  adapter: Adapter,
  evolution: Evolution,
  gradients: ReadonlyMap<string, TrainableArrays>,
): Map<string, Float64Array> {
  if (adapter.config.useDora)
    throw new RangeError('slopes of directions are known for LoRA alone, found a DoRA adapter');
  const slopes = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const gradient = gradients.get(name);
    if (gradient) return [name, alongDirections(old, change, gradient.b)] as const;
    throw new RangeError(`the gradients of module ${name} are missing`);
  });
  return new Map(slopes);
}

function alongDirections(old: LoraFactors, change: ModuleEvolution, gradient: Float32Array): Float64Array {
  const rank = old.rank + change.rank;
  const slopes = new Float64Array(change.rank);
  for (let i = 0; i < old.outFeatures; i++) {
    for (let k = 0; k < change.rank; k++) {
      slopes[k]! += gradient[i * rank + old.rank + k]! * change.u[i * change.rank + k]! * change.s[k]!;
    }
  }
  return slopes;
}

/** ‖s · B A‖² and ‖U S Vᵀ‖² of every module: how far one unit of alpha or of beta moves the weights, squared. */
export function directionSquares(adapter: Adapter, evolution: Evolution): CoefficientSlopes {
  const squares = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
    const beta = change.s.reduce((sum, value) => sum + value ** 2, 0);
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

/** Sums over the modules of each group. By the chain rule, these are the slopes of coefficients that a group shares. */
export function sumByGroup(slopes: CoefficientSlopes, grouping: Grouping): CoefficientSlopes {
  const sums = new Map<string, Coefficients>();
  for (const [module, { alpha, beta }] of slopes) {
    const group = grouping(module);
    const sum = sums.get(group) ?? { alpha: 0, beta: 0 };
    sums.set(group, { alpha: sum.alpha + alpha, beta: sum.beta + beta });
  }
  return sums;
}
