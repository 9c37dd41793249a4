import type { GateRule } from '../../options/gates.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

export interface MetricValue {
  readonly name: MetricName;
  /** Value of the metric. After a curtailed look, the best value that is possible with the rows not measured. */
  readonly value: number;
  /** Number of rows that the value is computed from. */
  readonly rows: number;
  readonly standardError: number;
  /** Present if the look ended early, because the candidate was certain to fail. */
  readonly curtailed?: CurtailedLook;
}

/** Extent of a curtailed look, which ended before all gate rows were measured. Plain JSON. */
export interface CurtailedLook {
  /** Number of rows that were measured before the look ended. */
  readonly measured: number;
}

/** Outcomes of a version on all gate rows, in the order of the rows. */
export interface RowOutcomes {
  /**
   * Outcome of each row: 1 if right and 0 if wrong; for `rouge_l` and `token_f1` a score from 0 to 1; for `loss` the
   * sum of the losses of the completion tokens, in nats. Rows that a curtailed look did not measure have the best
   * possible outcome.
   */
  readonly values: ArrayLike<number>;
  /** Completion tokens of each row. Only the metric `loss` needs them. */
  readonly tokens: ArrayLike<number>;
}

/** A metric together with the outcomes of the rows, which a paired comparison needs. */
export interface GateMeasurement {
  readonly metric: MetricValue;
  readonly outcomes: RowOutcomes;
  /** Precision of the base on which the candidate was measured. */
  readonly judgedIn?: Precision;
}

/** Settings for measuring a candidate on the gate rows once. */
export interface GateLook {
  /** Measurement, on its own base, of the version that the candidate is compared with; null if the gate needs none. */
  readonly reference: GateMeasurement | null;
  /** Whether all rows are measured, even after the candidate is certain to fail. */
  readonly whole: boolean;
}

/** Indices of the gate rows in each slice, by the slice's name. */
export type SliceRows = ReadonlyMap<string, readonly number[]>;

/** Rule that decides whether an adapter is ready, with the metric that it judges. */
export type Gate = Readonly<GateRule> & {
  readonly metric: MetricName;
  /** Gate rows of each slice. A rule that names critical slices needs it. */
  readonly sliceRows?: SliceRows;
};

/** Value of the metric that a candidate has to reach. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/**
 * Judgement on a candidate. `passed`: good enough and, if the gate has a confidence, certified. `inconclusive`: good
 * enough on the rows, but these are too few to certify it. `failed`: not good enough.
 */
export type Verdict = 'passed' | 'failed' | 'inconclusive';

/**
 * Requirement of the gate that a candidate misses. `value`: its value on all rows; `bound`: the confidence bound of
 * that value; `negative_flips`: their share; `slice`: its value on a critical slice; `slice_bound`: the bound on a
 * slice that has to be certified. A candidate that misses only bounds is inconclusive.
 */
export type GateFailure = 'value' | 'bound' | 'negative_flips' | 'slice' | 'slice_bound';

/** Verdict on a candidate on the rows of one critical slice. Plain JSON. */
export interface SliceVerdict {
  readonly name: string;
  readonly margin: number;
  /** Whether a certificate requires the slice to be certified, too. */
  readonly certify: boolean;
  /** Verdict on these rows. `inconclusive` prevents a publication only if the slice has to be certified. */
  readonly verdict: Verdict;
  /** Number of gate rows in the slice. */
  readonly rows: number;
  /** Metric of the candidate on these rows. */
  readonly value: number;
  /** Metric, on these rows, of the version that the margin counts from. */
  readonly old: number;
  /** Worst true value that the rows do not rule out, at the error probability of the look. */
  readonly bound: number;
  /**
   * Approximate number of rows of the slice that would certify it, as in {@link Certificate}; null if none is needed or
   * would do.
   */
  readonly rowsNeeded: number | null;
}

/** Certificate of a gate with a confidence: the verdict on a candidate, and the evidence behind it. Plain JSON. */
export interface Certificate {
  readonly verdict: Verdict;
  /** Confidence that holds for all looks of the job together. */
  readonly confidence: number;
  /** Amount by which the value may be worse than the reference's; null where a number has to be reached. */
  readonly margin: number | null;
  /** Number of gate rows behind the certificate. */
  readonly rows: number;
  /** Number of looks that the job has taken, this one included. */
  readonly looks: number;
  /**
   * Approximate number of gate rows that would certify the candidate; null unless it is inconclusive for lack of rows,
   * and if no number would do.
   */
  readonly rowsNeeded: number | null;
  /** The critical slices, in the gate's order. Absent if it names none. */
  readonly slices?: readonly SliceVerdict[];
}

/** The gate's decision on one candidate. Plain JSON. */
export interface GateVerdict {
  readonly verdict: Verdict;
  /** Certificate of the candidate; null if the gate has no confidence, so that the value on the rows alone decides. */
  readonly certificate: Certificate | null;
  /** Value that the candidate had to reach. */
  readonly needed: number;
  /**
   * Worst true value that the rows do not rule out, at the error probability of this look. The candidate is certified
   * if it reaches `needed`. Null for a gate without a confidence, and after a curtailed look.
   */
  readonly bound: number | null;
  /**
   * Negative flips as a share of the rows; after a curtailed look, those found so far. Null if there is no reference,
   * and for metrics whose rows are neither right nor wrong.
   */
  readonly negativeFlips: number | null;
  /**
   * Requirements that the candidate misses; empty if it passed. After a curtailed look, only those that it is certain
   * to miss.
   */
  readonly failed: readonly GateFailure[];
}
