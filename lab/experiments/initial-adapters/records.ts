import type { TenantName, TestScore } from '../records.ts';

/** Cost of making an adapter, including its parts. */
interface Cost {
  readonly ms: number;
  /** Number of forward passes of a row through the new base. */
  readonly forward: number;
  /** Number of forward and backward passes of a row through the new base. */
  readonly backward: number;
}

/** Scores of an untrained adapter on the test rows. */
export interface InitialRecord extends TenantName, TestScore {
  /** Key of the tenant, evolution and settings, without the start. */
  readonly key: string;
  readonly evolution: string;
  /** Name of the start, or `old version` for the old adapter on the old base. */
  readonly start: string;
  /** Mean over the completion tokens of the test rows, in nats. */
  readonly loss: number;
  /** Cost of the start. All zeros for the old version. */
  readonly cost: Cost;
  /** Coefficients that the search chose. */
  readonly coefficients?: { readonly alpha: number; readonly beta: number };
}

export const OLD_VERSION = 'old version';
