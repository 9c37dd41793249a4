import type { GateRule } from '../../options/gates.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';
import type { Look } from './error-budget.ts';

export interface MetricValue {
  readonly name: MetricName;
  /**
   * Value of the metric on all gate rows. If the look ended before all rows were measured, `estimateOnAll` has
   * estimated it.
   */
  readonly value: number;
  /** Number of rows that were measured, over which the value is computed. */
  readonly rows: number;
  readonly standardError: number;
  /** Number of rows that a complete measurement would have covered. Left out if all rows were measured. */
  readonly available?: number;
}

/** Outcome of each measured gate row under one adapter version, in the order of the look. */
export interface RowOutcomes {
  /**
   * Outcome of each row: 1 if right and 0 if wrong; for `rouge_l` and `token_f1` a score from 0 to 1; for `loss` the
   * sum of the losses of the completion tokens, in nats.
   */
  readonly values: ArrayLike<number>;
  /** Number of completion tokens of each row. Only the metric `loss` needs it. */
  readonly tokens: ArrayLike<number>;
}

/** Metric of a version on rows, with the outcome of each row, which comparisons row by row need. */
export interface GateMeasurement {
  readonly metric: MetricValue;
  readonly outcomes: RowOutcomes;
  /** Precision of the base's matrices when the version was measured. */
  readonly judgedIn?: Precision;
  /**
   * Measurement of the same version on the search rows, with which adapters in training are compared row by row. Left
   * out unless this is the version that candidates are compared with, and the measurement is known.
   */
  readonly onSearch?: SearchMeasurement;
}

/** Metric of a version on the search rows, with the outcome of each row. */
export type SearchMeasurement = Pick<GateMeasurement, 'metric' | 'outcomes'>;

/** Settings for one measurement of a candidate on the gate rows. */
export interface GateLook {
  /**
   * Measurement of the version that the candidate is compared with, made on that version's own base; null if the gate
   * needs no such version.
   */
  readonly reference: GateMeasurement | null;
  readonly look: Look;
}

/** Indices of the gate rows in each slice, by the slice's name. */
export type SliceRows = ReadonlyMap<string, readonly number[]>;

/** Rule that decides whether an adapter is ready, with the metric that it judges. */
export type Gate = Readonly<GateRule> & {
  readonly metric: MetricName;
  /** Indices of the gate rows in each slice. A gate with critical slices needs them. */
  readonly sliceRows?: SliceRows;
};

/** Value of the metric that a candidate has to reach. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/**
 * Judgement of the gate on a candidate. `passed`: good enough and, if the gate has a confidence, certified.
 * `inconclusive`: good enough on the gate rows, which are too few to certify it. `failed`: not good enough.
 */
export type Verdict = 'passed' | 'failed' | 'inconclusive';

/**
 * Requirement of the gate that a candidate misses. `value`: the metric on all rows is not good enough. `bound`: the
 * confidence bound of this value is not. `negative_flips`: their share is too large. `slice`: the metric on a critical
 * slice is not good enough. `slice_bound`: the bound on a slice that has to be certified is not. A candidate that
 * misses only bounds is inconclusive.
 */
export type GateFailure = 'value' | 'bound' | 'negative_flips' | 'slice' | 'slice_bound';

/** Verdict on a candidate on the rows of one critical slice. Plain JSON. */
export interface SliceVerdict {
  readonly name: string;
  readonly margin: number;
  /** Whether the candidate is certified only if this slice is certified, too. */
  readonly certify: boolean;
  /**
   * Verdict by the rows of the slice alone. `inconclusive` prevents a publication only if the slice has to be
   * certified.
   */
  readonly verdict: Verdict;
  /** Number of gate rows in the slice. */
  readonly rows: number;
  /** Metric of the candidate on the rows of the slice. */
  readonly value: number;
  /** Metric of the version that the margin counts from, on the rows of the slice. */
  readonly old: number;
  /** Worst true value on the slice that its rows do not rule out, at the error probability of the look. */
  readonly bound: number;
  /**
   * Approximate number of rows of the slice that would certify the candidate on it; null if the slice is not
   * inconclusive, or if no number of rows would suffice.
   */
  readonly rowsNeeded: number | null;
}

/** Certificate of a gate with a confidence: the verdict on a candidate, and the evidence behind it. Plain JSON. */
export interface Certificate {
  readonly verdict: Verdict;
  /** Confidence of the certificate, which holds for all looks of the job together. */
  readonly confidence: number;
  /**
   * Amount by which a candidate's metric may be worse than that of the version it is compared with; null for an
   * absolute gate.
   */
  readonly margin: number | null;
  /** Number of gate rows on which the verdict rests. */
  readonly rows: number;
  /** Number of all gate rows, whether or not they were measured. */
  readonly availableRows: number;
  /** Number of times that the look was analysed, including the last analysis. */
  readonly analyses: number;
  /** Error probability that the look could use, over all of its analyses together. */
  readonly level: number;
  /** Number of looks that the job has taken at the gate rows, this one included. */
  readonly looks: number;
  /**
   * Approximate number of gate rows that would certify the candidate. Null if the verdict is not inconclusive, if only
   * the rows of a slice are too few, or if no number of rows would suffice.
   */
  readonly rowsNeeded: number | null;
  /** Verdicts on the critical slices, in the gate's order; absent if the gate names none. */
  readonly slices?: readonly SliceVerdict[];
}

/** Decision of the gate on one candidate, with its reasons. Plain JSON. */
export interface GateVerdict {
  readonly verdict: Verdict;
  /** Certificate of the candidate; null if the gate has no confidence, so that the value on the rows alone decides. */
  readonly certificate: Certificate | null;
  /** Value of the metric that the candidate had to reach. */
  readonly needed: number;
  /**
   * Worst true value of the metric that the gate rows do not rule out, at the error probability of this look. The value
   * is certified if this bound reaches `needed`. Null for a gate without a confidence.
   */
  readonly bound: number | null;
  /**
   * Share of the measured rows that the reference had right and the candidate has wrong. Null if there is no reference,
   * and for metrics whose rows are neither right nor wrong.
   */
  readonly negativeFlips: number | null;
  /** Requirements of the gate that the candidate misses; empty if it passed. */
  readonly failed: readonly GateFailure[];
}
