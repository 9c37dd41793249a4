import type { Adapter, LoraConfig, LoraFactors } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';
import { AdaptationError } from '../errors.ts';
import type { Evolution } from '../evolution/evolution.ts';
import { COPY, isSamePoint, type Coefficients } from './coefficients.ts';
import { checkRank, commonRank, grownConfig, type FusedShape, type FusionRank } from './fusion-rank.ts';
import { coefficientsOf, type GroupedCoefficients } from './grouping.ts';
import { prepareModule, type ModuleFusion } from './module-fusion.ts';

export interface FusionOptions {
  /** Default `keep`. */
  readonly rank?: FusionRank;
}

export interface FusedAdapter {
  /** Configuration of {@link Fusion.config}; new factors. */
  readonly adapter: Adapter;
  /** By module: ‖target − s · B′A′‖, what the rank leaves out of the target (with the change as the evolution holds it). */
  readonly truncationErrors: ReadonlyMap<string, number>;
}

/**
 * Fuses one adapter with one evolution for any number of coefficients: orthogonal bases of the stacked factors are
 * computed once, so that a point of the search costs one small SVD a module. Ranks are chosen once too: adapters of all
 * coefficients have the same shapes, but for the old adapter itself.
 */
export class Fusion {
  readonly adapter: Adapter;
  /** The old adapter's, with the ranks of what comes out. */
  readonly config: LoraConfig;
  readonly #modules: ReadonlyMap<string, ModuleFusion>;
  readonly #shapes: ReadonlyMap<string, FusedShape>;

  /**
   * @throws AdaptationError `incompatible_evolution` where the evolution lacks a module of the adapter or its shape
   *   differs; RangeError for a rank that is none
   */
  constructor(adapter: Adapter, evolution: Evolution, { rank = 'keep' }: FusionOptions = {}) {
    checkRank(rank);
    this.adapter = adapter;
    const prepared = [...adapter.modules].map(([name, factors]) => {
      return [name, prepareModule(factors, moduleOf(evolution, name, factors))] as const;
    });
    this.#modules = new Map(prepared);
    this.config = rank === 'keep' ? adapter.config : grownConfig(adapter, commonRank(rank, this.#spectra()));
    this.#shapes =
      this.config === adapter.config ? adapter.modules : loraSettings(this.config, [...adapter.modules.keys()]);
  }

  /**
   * The best adapter of its ranks for these coefficients. (1, 0) everywhere is the old adapter itself.
   * @param coefficients one pair for all modules, or a pair for each group
   * @throws RangeError for coefficients that are not finite, and a group that has none
   */
  at(coefficients: Coefficients | GroupedCoefficients): Adapter {
    return this.fuse(coefficients).adapter;
  }

  /** The adapter, and what did not fit into its ranks. */
  fuse(coefficients: Coefficients | GroupedCoefficients): FusedAdapter {
    const pairs = new Map([...this.#modules.keys()].map((name) => [name, coefficientsOf(name, coefficients)]));
    if ([...pairs.values()].every((pair) => isSamePoint(pair, COPY))) {
      return { adapter: this.adapter, truncationErrors: new Map([...pairs.keys()].map((name) => [name, 0])) };
    }
    const modules = new Map<string, LoraFactors>();
    const truncationErrors = new Map<string, number>();
    for (const [name, module] of this.#modules) {
      const { factors, truncationError } = module.at(pairs.get(name)!, this.#shapes.get(name));
      modules.set(name, factors);
      truncationErrors.set(name, truncationError);
    }
    return { adapter: { config: this.config, modules }, truncationErrors };
  }

  #spectra(): Float64Array[] {
    return [...this.#modules.values()].map((module) => module.singularValues(REVERT));
  }
}

/** What growth by energy is to hold: undoing the change takes the largest rank of what is known to be good. */
const REVERT: Coefficients = { alpha: 1, beta: -1 };

/** {@link Fusion.at} once. */
export function fuse(
  adapter: Adapter,
  evolution: Evolution,
  coefficients: Coefficients | GroupedCoefficients,
): Adapter {
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
