import type { Adapter, LoraFactors } from '../models/adapter.ts';
import { AdaptationError } from './errors.ts';
import type { Evolution } from './evolution.ts';
import type { Coefficients } from './coefficients.ts';
import { coefficientsOf, type GroupedCoefficients } from './grouping.ts';
import { prepareModule, type ModuleFusion } from './module-fusion.ts';

export interface FusedAdapter {
  /** Configuration, ranks and scalings of the old adapter; new factors. */
  readonly adapter: Adapter;
  /** By module: ‖target − s · B′A′‖, what the adapter's rank leaves out of the target (with the change as the evolution holds it). */
  readonly truncationErrors: ReadonlyMap<string, number>;
}

/**
 * Fuses one adapter with one evolution for any number of coefficients: orthogonal bases of the stacked factors are
 * computed once, so that a point of the search costs one small SVD a module.
 */
export class Fusion {
  readonly adapter: Adapter;
  readonly #modules: ReadonlyMap<string, ModuleFusion>;

  /**
   * @throws AdaptationError `incompatible_evolution` where the evolution lacks a module of the adapter or its shape
   *   differs
   */
  constructor(adapter: Adapter, evolution: Evolution) {
    this.adapter = adapter;
    const prepared = [...adapter.modules].map(([name, factors]) => {
      return [name, prepareModule(factors, moduleOf(evolution, name, factors))] as const;
    });
    this.#modules = new Map(prepared);
  }

  /**
   * The best adapter of the old one's ranks for these coefficients. (1, 0) is the old adapter itself.
   * @param coefficients one pair for all modules, or a pair for each group
   * @throws RangeError for coefficients that are not finite, and a group that has none
   */
  at(coefficients: Coefficients | GroupedCoefficients): Adapter {
    return this.fuse(coefficients).adapter;
  }

  /** The adapter, and what did not fit into its ranks. */
  fuse(coefficients: Coefficients | GroupedCoefficients): FusedAdapter {
    const modules = new Map<string, LoraFactors>();
    const truncationErrors = new Map<string, number>();
    for (const [name, module] of this.#modules) {
      const { factors, truncationError } = module.at(coefficientsOf(name, coefficients));
      modules.set(name, factors);
      truncationErrors.set(name, truncationError);
    }
    return { adapter: { config: this.adapter.config, modules }, truncationErrors };
  }
}

/** {@link Fusion.at} once. */
export function fuse(adapter: Adapter, evolution: Evolution, coefficients: Coefficients | GroupedCoefficients): Adapter {
  return new Fusion(adapter, evolution).at(coefficients);
}

function moduleOf(evolution: Evolution, name: string, { outFeatures, inFeatures }: LoraFactors) {
  const module = evolution.modules.get(name);
  if (!module) throw new AdaptationError('incompatible_evolution', `adapted module ${name} is not in the evolution`);
  if (module.outFeatures === outFeatures && module.inFeatures === inFeatures) return module;
  const found = `[${module.outFeatures}, ${module.inFeatures}]`;
  const message = `module ${name} is ${found} in the evolution, [${outFeatures}, ${inFeatures}] in the adapter`;
  throw new AdaptationError('incompatible_evolution', message);
}
