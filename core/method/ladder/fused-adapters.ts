import type { Adapter } from '../../models/lora/adapter.ts';
import { AdaptationError } from '../errors.ts';
import type { Evolution } from '../evolution/evolution.ts';
import { COPY, isSamePoint, type Coefficients } from '../fusion/coefficients.ts';
import { Fusion } from '../fusion/fusion.ts';
import type { LadderContext } from './ladder-context.ts';
import type { LadderOptions } from './ladder-state.ts';
import type { Proposal } from './candidate.ts';

/** Makes the adapters that one run fuses from the old adapter and the evolution. */
export class FusedAdapters {
  readonly #context: Pick<LadderContext, 'oldAdapter' | 'evolution' | 'products'>;
  readonly #options: LadderOptions['fusion'];
  #fusion: Promise<Fusion> | null = null;

  constructor(context: Pick<LadderContext, 'oldAdapter' | 'evolution' | 'products'>, options: LadderOptions['fusion']) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * Reason why this run has nothing to revert or to search: every fusion would be a scaled copy, because the evolution
   * is unknown or is zero in all modules that adapters can change. Null if there is no such reason.
   */
  get obstacle(): string | null {
    const { evolution } = this.#context;
    if (!evolution) return 'the evolution is not known';
    return evolution.adaptable.deltaNorm > 0 ? null : 'no adaptable module of the base changed';
  }

  /** @throws AdaptationError `evolution_required` if the evolution is not known */
  get evolution(): Evolution {
    const { evolution } = this.#context;
    if (evolution) return evolution;
    throw new AdaptationError('evolution_required', 'fusion needs the evolution between the base versions, found none');
  }

  /**
   * Returns the fused adapter of these coefficients. The first call that has to fuse also computes the parts that do
   * not depend on the coefficients.
   */
  async at(coefficients: Coefficients): Promise<Adapter> {
    const { oldAdapter, products } = this.#context;
    if (isSamePoint(coefficients, COPY)) return oldAdapter;
    this.#fusion ??= Fusion.prepare(oldAdapter, this.evolution, { ...this.#options, products });
    return (await this.#fusion).at(coefficients);
  }

  /**
   * Fuses the old adapter with the evolution at these coefficients, without cutting the result to the adapter's rank.
   * @returns an adapter of as high a rank as needed; undefined without coefficients, or if every fusion would be a
   * scaled copy
   */
  async wholeOf({ alpha, beta }: Pick<Proposal, 'alpha' | 'beta'>): Promise<Adapter | undefined> {
    if (alpha === null || beta === null || this.obstacle !== null) return undefined;
    const { oldAdapter, products } = this.#context;
    const options = { maxRank: Number.MAX_SAFE_INTEGER, products };
    return (await Fusion.prepare(oldAdapter, this.evolution, options)).at({ alpha, beta });
  }

  /**
   * Returns the fused adapter that a candidate was made from, in its state before any training.
   * @throws RangeError for a candidate without coefficients, which was trained from scratch
   */
  async initialOf({ id, alpha, beta }: Pick<Proposal, 'id' | 'alpha' | 'beta'>): Promise<Adapter> {
    if (alpha === null || beta === null) throw new RangeError(`candidate ${id} has no fusion coefficients`);
    return this.at({ alpha, beta });
  }
}
