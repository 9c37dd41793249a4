import type { Strategy } from '../../options/job-options.ts';
import type { Precision } from '../../options/precisions.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { GateVerdict, MetricValue, RowOutcomes } from '../gate/readiness-gate.ts';

/**
 * Names of the rungs, which are the steps that strategies try. Only `scratch` begins with a fresh, untrained adapter.
 */
export type RungName = 'copy' | 'revert' | 'search' | 'fine_tune' | 'scratch';

/**
 * Strategy by which a candidate was made. A run of `auto` makes candidates of any of these, and `relora-paper` makes
 * candidates of `relora`.
 */
export type CandidateStrategy = Exclude<Strategy, 'auto' | 'relora-paper'>;

/** Description of how an adapter is made, which a rung submits to the gate together with the adapter. */
export interface Proposal {
  /**
   * Identifier of the candidate, unique in its run: the name of the rung and, if the rung trains, `@` and the number of
   * training steps, as in `fine_tune@20`.
   */
  readonly id: string;
  readonly rung: RungName;
  readonly strategy: CandidateStrategy;
  /**
   * Fusion coefficients of the adapter, or of the adapter that its training started from; both are null if it was
   * trained from scratch.
   */
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Number of training steps that went into the adapter. */
  readonly step: number;
}

/**
 * Description of an adapter that the gate has judged, without the weights: how it was made, and the verdict. Plain
 * JSON.
 */
export interface CandidateRecord extends Proposal, GateVerdict {
  readonly metric: MetricValue;
  /** Precision of the base's matrices when the gate's metric was measured. */
  readonly judgedIn?: Precision;
  /**
   * Mean loss of the completions in the search rows, in nats a token; null unless the search measured exactly this
   * adapter.
   */
  readonly searchLoss: number | null;
  /**
   * Milliseconds from the start of the run to the verdict, without the time in which an interrupted run stood still.
   */
  readonly elapsedMs: number;
}

/** Adapter that the gate has judged, with the verdict and the outcome of every gate row. */
export interface Candidate extends CandidateRecord {
  readonly adapter: Adapter;
  readonly outcomes: RowOutcomes;
}

export function toRecord({ adapter: _, outcomes: __, ...record }: Candidate): CandidateRecord {
  return record;
}

/** Returns the strategy of an adapter that was trained further from an adapter with these fusion coefficients. */
export function fineTunedStrategy({ alpha, beta }: Pick<Proposal, 'alpha' | 'beta'>): CandidateStrategy {
  if (alpha === null) return 'scratch';
  return alpha === 1 && beta === 0 ? 'warm-start' : 'relora';
}
