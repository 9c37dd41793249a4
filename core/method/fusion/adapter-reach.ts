import type { Adapter } from '../../models/lora/adapter.ts';
import type { AdapterReach } from '../evolution/analysis/advisor.ts';
import { capturedEnergy } from '../evolution/captured-energy.ts';
import type { Evolution } from '../evolution/evolution.ts';
import { REVERT } from './coefficients.ts';
import { Fusion, type FusionOptions } from './fusion.ts';

/**
 * Returns the share of a base's change in the modules that an adapter adapts, and the share that a revert at the
 * adapter's rank undoes. A revert does not undo three things: the directions that truncating each adapted module drops,
 * the directions that the evolution does not hold (taken as orthogonal to those it holds), and every change in modules
 * that the adapter does not adapt. Both shares are 1 if nothing changed.
 * @throws AdaptationError `incompatible_evolution` if the evolution does not fit the adapter
 */
export async function adapterReach(
  adapter: Adapter,
  evolution: Evolution,
  options: Pick<FusionOptions, 'products'> = {},
): Promise<AdapterReach> {
  const total = evolution.adaptable.deltaNorm ** 2;
  if (total === 0) return { targeted: 1, undone: 1 };
  const { truncationErrors } = await (await Fusion.prepare(adapter, evolution, options)).fuse(REVERT);
  let [untargeted, undone] = [0, 0];
  for (const [name, module] of evolution.modules) {
    const change = module.deltaNorm ** 2;
    const error = truncationErrors.get(name);
    if (error === undefined) untargeted += change;
    else undone += Math.max(0, capturedEnergy(module) * change - error ** 2);
  }
  return { targeted: 1 - untargeted / total, undone: undone / total };
}
