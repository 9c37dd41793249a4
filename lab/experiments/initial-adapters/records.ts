import type { TenantName, TestScore } from '../records.ts';

/** What making an adapter took, its parts included. */
interface Cost {
  readonly ms: number;
  /** Rows that went through the new base forward. */
  readonly forward: number;
  /** Rows that went through it forward and backward. */
  readonly backward: number;
}

/** An untrained adapter on the test rows. */
export interface InitialRecord extends TenantName, TestScore {
  /** What was measured and with which settings, but for the start. */
  readonly key: string;
  readonly evolution: string;
  /** Name of the start; `old version` for the old adapter on the old base. */
  readonly start: string;
  /** Mean over the completion tokens of the test rows, in nats. */
  readonly loss: number;
  /** Nothing for the old version. */
  readonly cost: Cost;
  /** Of the search. */
  readonly coefficients?: { readonly alpha: number; readonly beta: number };
}

export const OLD_VERSION = 'old version';
