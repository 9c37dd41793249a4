import type { Strategy } from '../../options/job-options.ts';
import type { Precision } from '../../options/precisions.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { GateVerdict, MetricValue, RowOutcomes } from '../gate/readiness-gate.ts';

/** The rungs of all ladders. `scratch` trains a fresh adapter. */
export type RungName = 'copy' | 'revert' | 'search' | 'fine_tune' | 'scratch';

/** Strategy that made a candidate. `auto` picks one of these, and `relora-paper` makes a `relora`. */
export type CandidateStrategy = Exclude<Strategy, 'auto' | 'relora-paper'>;

/** Description of an adapter that a rung proposes, before the gate judges it. */
export interface Proposal {
  /** Name of the rung, followed by the step for rungs that train (`fine_tune@20`). Unique within a run. */
  readonly id: string;
  readonly rung: RungName;
  readonly strategy: CandidateStrategy;
  /** Fusion coefficients of the (initial) adapter; null for an adapter that was trained from scratch. */
  readonly alpha: number | null;
  readonly beta: number | null;
  /** Number of fine-tuning steps that went into the adapter. */
  readonly step: number;
}

/** Judged candidate without its weights: the proposal and the verdict. Plain JSON. */
export interface CandidateRecord extends Proposal, GateVerdict {
  readonly metric: MetricValue;
  /** The precision of the base in which the metric was measured. */
  readonly judgedIn?: Precision;
  /** Mean completion loss on the search rows, if the search measured exactly this adapter; nats a token. */
  readonly searchLoss: number | null;
  /** Milliseconds from the start of the run to the verdict; a resumed run continues to count. */
  readonly elapsedMs: number;
}

/** An adapter that the gate has judged. */
export interface Candidate extends CandidateRecord {
  readonly adapter: Adapter;
  readonly outcomes: RowOutcomes;
}

export function toRecord({ adapter: _, outcomes: __, ...record }: Candidate): CandidateRecord {
  return record;
}

/** Strategy of a candidate that was fine-tuned from one with these coefficients. */
export function fineTunedStrategy({ alpha, beta }: Pick<Proposal, 'alpha' | 'beta'>): CandidateStrategy {
  if (alpha === null) return 'scratch';
  return alpha === 1 && beta === 0 ? 'warm-start' : 'relora';
}
