import { ladderOptions } from '../../core/adaptation/setup/job-setup.ts';
import { makeBatch } from '../../core/data/batching.ts';
import { lossesByRow } from '../../core/data/evaluation/measure.ts';
import { sumInputMoments, type SummedMoments } from '../../core/data/evaluation/input-moments.ts';
import { labelCount, type TokenizedExample } from '../../core/data/example.ts';
import type { Runtime } from '../../core/engine/runtime.ts';
import type { MatrixProducts } from '../../core/linalg/products.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import { NOTHING, type Coefficients } from '../../core/method/fusion/coefficients.ts';
import type { FusedShape } from '../../core/method/fusion/fusion-rank.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { truncateByMoments, truncateBySquares } from '../../core/method/fusion/weighted-truncation.ts';
import { searchCoefficients } from '../../core/method/search/coefficient-search.ts';
import {
  directionSlopes,
  stackedAdapter,
  stackedDirections,
} from '../../core/method/search/gradients/coefficient-gradients.ts';
import type { Adapter, LoraFactors } from '../../core/models/lora/adapter.ts';
import { resolveJobOptions } from '../../core/options/job-settings.ts';
import { DirectionEvidence, type BetaRule, type ByDirection } from './direction-betas.ts';
import { voteOnSigns, type MaskTask, type SignVotes } from './gradient-signs.ts';

/** What is known of one tenant on one new base when its initial adapter is made. */
export interface Materials {
  readonly old: Adapter;
  readonly evolution: Evolution;
  /** Of the new base. */
  readonly runtime: Runtime;
  readonly products: MatrixProducts;
  /** Rows on which the inputs of modules are measured. */
  readonly training: readonly TokenizedExample[];
  /** Held-out rows on which losses and gradients are measured. */
  readonly search: readonly TokenizedExample[];
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** What it takes to make something. */
export interface Cost {
  readonly ms: number;
  /** Rows that go through the new base forward. */
  readonly forward: number;
  /** Rows that go through it forward and backward. */
  readonly backward: number;
}

/** Something with what it takes to make it, its parts included. */
export interface Priced<T> {
  readonly value: T;
  readonly cost: Cost;
}

/** One module of an update that is truncated. */
interface UpdatedModule {
  readonly name: string;
  readonly factors: LoraFactors;
  readonly shape: FusedShape;
}

/** Number of parts of the gradients of weights. */
const GRADIENT_PARTS = 4;

/** The middle between copy and revert, where the gradient of a quadratic loss is the difference between both. */
export const MIDDLE: Coefficients = { alpha: 1, beta: -0.5 };

/**
 * Makes initial adapters from one tenant's materials. What several have in common is made once, and counted for each. The
 * rank of all of them is the old adapter's, but for the whole updates.
 */
export class Workshop {
  readonly #materials: Materials;
  readonly #made = new Map<string, Promise<Priced<unknown>>>();
  /** Rows that have gone through the new base so far. */
  readonly #rows = { forward: 0, backward: 0 };

  constructor(materials: Materials) {
    this.#materials = materials;
  }

  copy(): Promise<Priced<Adapter>> {
    return this.#make([], () => Promise.resolve(this.#materials.old));
  }

  /** α · s · B A + β · ΔW, truncated as always. */
  async fused(coefficients: Priced<Coefficients>): Promise<Priced<Adapter>> {
    const fusion = await this.#fusion();
    return this.#make([fusion, coefficients], () => fusion.value.at(coefficients.value));
  }

  /** The coefficients of the default search. */
  async searched(): Promise<Priced<Coefficients>> {
    const fusion = await this.#fusion();
    return this.#once('search', [fusion], () => this.#search(fusion.value));
  }

  /** The update of these coefficients at the rank that it takes. */
  whole(coefficients: Priced<Coefficients>): Promise<Priced<Adapter>> {
    const { old, evolution } = this.#materials;
    return this.#make([coefficients], () => Promise.resolve(stackedAdapter(old, evolution, coefficients.value)));
  }

  /** The update that has a β for each direction, from the slopes at a point, at the rank that it takes. */
  async directions(point: Coefficients, rule: BetaRule): Promise<Priced<Adapter>> {
    const { old, evolution } = this.#materials;
    const slopes = await this.#once(`slopes ${point.beta}`, [], () => this.#slopes(point));
    return this.#make([slopes], () => Promise.resolve(stackedDirections(old, evolution, rule(slopes.value))));
  }

  /** Truncates an update to the old rank. */
  truncated(update: Priced<Adapter>): Promise<Priced<Adapter>> {
    const { products } = this.#materials;
    return this.#make([update], () =>
      this.#eachModule(update.value, ({ factors, shape }) => {
        return truncateBySquares(factors, new Float64Array(factors.inFeatures).fill(1), shape, products);
      }),
    );
  }

  /**
   * Truncates an update to the old rank so that the outputs change as little as possible.
   * @param weighting by which moments of the inputs: the diagonal, or all of them
   * @param through what computes the inputs: the new base alone, or with the update
   */
  async truncatedByInputs(
    update: Priced<Adapter>,
    weighting: 'diagonal' | 'covariance',
    through: 'base' | 'update' = 'base',
  ): Promise<Priced<Adapter>> {
    const { products } = this.#materials;
    const moments =
      through === 'base'
        ? await this.#once('moments', [], () => this.#inputMoments(this.#probe()))
        : await this.#make([], () => this.#inputMoments(update.value));
    return this.#make([update, moments], () =>
      this.#eachModule(update.value, ({ name, factors, shape }) => {
        const { squares, projected } = moments.value.get(name)!;
        return weighting === 'diagonal'
          ? truncateBySquares(factors, squares, shape, products)
          : truncateByMoments(factors, projected, shape, products);
      }),
    );
  }

  /**
   * The old update where its signs agree with the gradients', plus β · ΔW.
   * @param mask what makes an adapter of it
   */
  async masked(beta: number, mask: (task: MaskTask) => Promise<Adapter>): Promise<Priced<Adapter>> {
    const { old, evolution, products } = this.#materials;
    const votes = await this.#once('votes', [], () => this.#votes());
    return this.#make([votes], () => mask({ old, evolution, votes: votes.value, beta, products }));
  }

  #fusion(): Promise<Priced<Fusion>> {
    const { old, evolution, products } = this.#materials;
    return this.#once('fusion', [], () => Fusion.prepare(old, evolution, { products }));
  }

  /** An adapter that changes nothing, with the A of all updates. */
  #probe(): Adapter {
    const { old, evolution } = this.#materials;
    return stackedAdapter(old, evolution, NOTHING);
  }

  #inputMoments(adapter: Adapter): Promise<ReadonlyMap<string, SummedMoments>> {
    const { runtime, training, signal } = this.#materials;
    this.#rows.forward += training.length;
    return sumInputMoments(runtime, adapter, training, { signal });
  }

  async #slopes(point: Coefficients): Promise<ByDirection> {
    const { old, evolution, runtime, search, signal } = this.#materials;
    const adapter = stackedAdapter(old, evolution, point);
    const evidence = new DirectionEvidence();
    for (const row of search) {
      signal.throwIfAborted();
      const { gradients } = await runtime.gradients(adapter, makeBatch([row]), 1);
      evidence.add(directionSlopes(old, evolution, gradients));
    }
    this.#rows.backward += search.length;
    return evidence.tValues;
  }

  #votes(): Promise<SignVotes> {
    const { old, runtime, search, signal } = this.#materials;
    this.#rows.backward += GRADIENT_PARTS * search.length;
    const batches = search.map((row) => makeBatch([row]));
    return voteOnSigns(runtime, old, batches, { parts: GRADIENT_PARTS, signal });
  }

  #search(fusion: Fusion): Promise<Coefficients> {
    const { runtime, search, seed, signal } = this.#materials;
    const { hiddenSize } = runtime.base.config;
    return searchCoefficients({
      options: ladderOptions(resolveJobOptions({ seed }, { control: false, hiddenSize })).search ?? {},
      ...{ seed, signal, history: [] },
      rowTokens: search.map(labelCount),
      fuse: (coefficients) => fusion.at(coefficients),
      rowLosses: async (adapters, rows) => {
        this.#rows.forward += adapters.length * rows.length;
        const examples = rows.map((row) => search[row]!);
        return (await lossesByRow(runtime, adapters, examples, { signal })).perExample;
      },
      onEvaluation: () => Promise.resolve(),
      now: () => performance.now(),
    });
  }

  async #eachModule(update: Adapter, truncate: (module: UpdatedModule) => Promise<LoraFactors>): Promise<Adapter> {
    const { old } = this.#materials;
    const modules = new Map<string, LoraFactors>();
    for (const [name, factors] of update.modules) {
      modules.set(name, await truncate({ name, factors, shape: old.modules.get(name)! }));
    }
    return { config: old.config, modules };
  }

  #once<T>(name: string, needs: readonly Priced<unknown>[], make: () => Promise<T>): Promise<Priced<T>> {
    const known = this.#made.get(name) ?? this.#make(needs, make);
    this.#made.set(name, known);
    return known as Promise<Priced<T>>;
  }

  /** Makes something, and adds what that takes to what its parts took. */
  async #make<T>(needs: readonly Priced<unknown>[], make: () => Promise<T>): Promise<Priced<T>> {
    const [before, begun] = [{ ...this.#rows }, performance.now()];
    const value = await make();
    const own = {
      ms: performance.now() - begun,
      forward: this.#rows.forward - before.forward,
      backward: this.#rows.backward - before.backward,
    };
    const all = [own, ...needs.map(({ cost }) => cost)];
    const total = (of: keyof Cost) => all.reduce((sum, cost) => sum + cost[of], 0);
    return { value, cost: { ms: total('ms'), forward: total('forward'), backward: total('backward') } };
  }
}
