import type { Adapter } from '../../models/lora/adapter.ts';
import { capturedEnergy } from '../evolution/captured-energy.ts';
import type { Evolution } from '../evolution/evolution.ts';
import { Fusion } from './fusion.ts';

/** How much of a base's change one adapter could carry. */
export interface AdapterReach {
  /** Share of ‖W_new − W_old‖² that lies in the modules that it adapts, over all adaptable modules. */
  readonly targeted: number;
  /** Share of it that reverting undoes: what the adapter's own rank holds of it beside the adapter's own update. */
  readonly undone: number;
}

/**
 * What a revert (α = 1, β = −1, truncated to the adapter's rank) leaves of the change: the truncation error of every
 * adapted module and the change's directions that the evolution does not hold, which are taken as orthogonal, and all
 * of what changed in other modules. Both are 1 where nothing changed.
 */
export function adapterReach(adapter: Adapter, evolution: Evolution): AdapterReach {
  const total = evolution.adaptable.deltaNorm ** 2;
  if (total === 0) return { targeted: 1, undone: 1 };
  const { truncationErrors } = new Fusion(adapter, evolution).fuse({ alpha: 1, beta: -1 });
  let [untargeted, undone] = [0, 0];
  for (const [name, module] of evolution.modules) {
    const change = module.deltaNorm ** 2;
    const error = truncationErrors.get(name);
    if (error === undefined) untargeted += change;
    else undone += Math.max(0, capturedEnergy(module) * change - error ** 2);
  }
  return { targeted: 1 - untargeted / total, undone: undone / total };
}
