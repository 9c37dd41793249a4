import type { Adapter, LoraConfig, LoraFactors } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';
import { plainProducts, type MatrixProducts } from '../../linalg/products.ts';
import { AdaptationError } from '../errors.ts';
import type { Evolution, ModuleEvolution } from '../evolution/evolution.ts';
import { COPY, isSamePoint, requireFiniteCoefficients, type Coefficients } from './coefficients.ts';
import { grownConfig, type FusedShape } from './fusion-rank.ts';
import { prepareModule, type ModuleFusion } from './module-fusion.ts';

export interface FusionOptions {
  /**
   * Rank that the modules of a fused adapter get, so that the adapter has a single `r`. It is reduced to the largest
   * rank that the full update of any module can have, but no module gets a lower rank than before. Default: each module
   * keeps its rank.
   */
  readonly maxRank?: number | undefined;
  /** Multiplication of the large matrices. Default: JavaScript on one thread, which is slow. */
  readonly products?: MatrixProducts | undefined;
}

interface FusedAdapter {
  /** Fused adapter. Its configuration is {@link Fusion.config}, and it shares no factors with the old adapter. */
  readonly adapter: Adapter;
  /**
   * Norm of the part of the full update alpha · s · B A + beta · U S Vᵀ that a module's rank cannot hold, by the
   * module's name. Directions of the base's change that the evolution lacks are not counted.
   */
  readonly truncationErrors: ReadonlyMap<string, number>;
}

/**
 * Fusion of one adapter with one evolution, at any number of coefficients. Orthonormal bases of the stacked factors are
 * computed once, so that each further pair of coefficients costs one small SVD per module. The ranks are also chosen
 * once, so that all fused adapters have the same shapes; only at (1, 0) the result is the old adapter itself.
 */
export class Fusion {
  readonly adapter: Adapter;
  /** Configuration of the fused adapters: that of the old adapter, but with the ranks of this fusion. */
  readonly config: LoraConfig;
  readonly #modules: ReadonlyMap<string, ModuleFusion>;
  readonly #shapes: ReadonlyMap<string, FusedShape>;

  private constructor(adapter: Adapter, config: LoraConfig, modules: ReadonlyMap<string, ModuleFusion>) {
    this.adapter = adapter;
    this.config = config;
    this.#modules = modules;
    this.#shapes = config === adapter.config ? adapter.modules : loraSettings(config, [...adapter.modules.keys()]);
  }

  /**
   * Prepares a fusion: computes all matrices that do not depend on the coefficients.
   * @throws AdaptationError `incompatible_evolution` if the evolution lacks a module of the adapter or has it in
   * another shape; RangeError for a rank that is not a positive integer
   */
  static async prepare(
    adapter: Adapter,
    evolution: Evolution,
    { maxRank, products = plainProducts }: FusionOptions = {},
  ): Promise<Fusion> {
    if (maxRank !== undefined && !(Number.isSafeInteger(maxRank) && maxRank >= 1)) {
      throw new RangeError(`fusion's rank is ${maxRank}, expected a positive integer`);
    }
    const modules = new Map<string, ModuleFusion>();
    for (const { name, old, change } of adaptedModules(adapter, evolution)) {
      modules.set(name, await prepareModule(old, change, products));
    }
    if (maxRank === undefined) return new Fusion(adapter, adapter.config, modules);
    const usable = Math.max(0, ...[...modules.values()].map(({ fullRank }) => fullRank));
    return new Fusion(adapter, grownConfig(adapter, Math.min(maxRank, usable)), modules);
  }

  /**
   * Returns the adapter that best approximates alpha · s · B A + beta · (W_new − W_old) at the ranks of this fusion.
   * @throws RangeError for coefficients that are not finite
   */
  async at(coefficients: Coefficients): Promise<Adapter> {
    return (await this.fuse(coefficients)).adapter;
  }

  /** Fuses as {@link at} does, and also returns the truncation errors of the modules. */
  async fuse(coefficients: Coefficients): Promise<FusedAdapter> {
    requireFiniteCoefficients(coefficients);
    if (isSamePoint(coefficients, COPY)) {
      return { adapter: this.adapter, truncationErrors: new Map([...this.#modules.keys()].map((name) => [name, 0])) };
    }
    const modules = new Map<string, LoraFactors>();
    const truncationErrors = new Map<string, number>();
    for (const [name, module] of this.#modules) {
      const { factors, truncationError } = await module.at(coefficients, this.#shapes.get(name));
      modules.set(name, factors);
      truncationErrors.set(name, truncationError);
    }
    return { adapter: { config: this.config, modules }, truncationErrors };
  }
}

/** Adapted module, with the old adapter's factors and the evolution of its weight. */
interface AdaptedModule {
  readonly name: string;
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
}

/**
 * Returns the adapted modules in the adapter's order, each with the evolution of its weight.
 * @throws AdaptationError `incompatible_evolution` if the evolution lacks a module or has it in another shape
 */
function adaptedModules(adapter: Adapter, evolution: Evolution): AdaptedModule[] {
  return [...adapter.modules].map(([name, old]) => {
    const change = evolution.modules.get(name);
    if (!change) throw new AdaptationError('incompatible_evolution', `adapted module ${name} is not in the evolution`);
    if (change.outFeatures === old.outFeatures && change.inFeatures === old.inFeatures) return { name, old, change };
    const [found, expected] = [change, old].map(({ outFeatures, inFeatures }) => `[${outFeatures}, ${inFeatures}]`);
    const message = `module ${name} is ${found} in the evolution, expected ${expected} as in the adapter`;
    throw new AdaptationError('incompatible_evolution', message);
  });
}
