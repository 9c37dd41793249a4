import type { Adapter, LoraFactors, TrainableArrays } from '../../../models/lora/adapter.ts';
import type { Evolution, ModuleEvolution } from '../../evolution/evolution.ts';
import type { Coefficients } from '../../fusion/coefficients.ts';
import { withFusedMagnitude } from '../../fusion/fused-magnitude.ts';
import { adaptedModules } from '../../fusion/fusion.ts';

/**
 * The full update alpha · s · B A + beta · U S Vᵀ, without truncation, as an adapter of rank r + k with scaling 1:
 * B′ = [alpha · s · B | beta · U S], A′ = [A; Vᵀ]. The coefficients appear in B′ only, so that gradients with respect to B′
 * contain what {@link directionSlopes} needs even where a coefficient is zero. The adapter is only meant for a
 * runtime: its configuration is the old adapter's and does not state these ranks.
 */
export function stackedAdapter(adapter: Adapter, evolution: Evolution, { alpha, beta }: Coefficients): Adapter {
  const modules = adaptedModules(adapter, evolution).map(({ name, old, change }) => {
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
