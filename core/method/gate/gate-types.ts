import type { GateRule } from '../../options/gates.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

export interface MetricValue {
  readonly name: MetricName;
  /** Value of the metric. For a curtailed look it is the best value that the unmeasured rows leave possible. */
  readonly value: number;
  /** Number of rows behind the value. */
  readonly rows: number;
  readonly standardError: number;
  /** Set if the look ended as soon as the candidate was certain to fail. */
  readonly curtailed?: CurtailedLook;
}

/** Progress of a look at the gate rows that ended early. Plain JSON. */
export interface CurtailedLook {
  /** Number of rows that were measured. */
  readonly measured: number;
}

/** The outcome of every gate row, in the order of the rows. */
export interface RowOutcomes {
  /**
   * 1 for a right row and 0 for a wrong one; for `rouge_l` and `token_f1` the row's score from 0 to 1; for `loss` the
   * summed loss of the row's completion tokens. Rows that a curtailed look did not measure have the best possible
   * outcome.
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

/** Settings of one measurement of a candidate on the gate rows. */
export interface GateLook {
  /** Version that the candidate is compared with, measured on its own base; null if the gate does not need one. */
  readonly reference: GateMeasurement | null;
  /** Whether to measure all rows even after the candidate is certain to fail. */
  readonly whole: boolean;
}

/** Positions among the gate rows, by slice name. */
export type SliceRows = ReadonlyMap<string, readonly number[]>;

/** Rule that decides whether an adapter is ready, with the metric that it judges. */
export type Gate = Readonly<GateRule> & {
  readonly metric: MetricName;
  /** Gate rows of each slice. A rule that names critical slices needs it. */
  readonly sliceRows?: SliceRows;
};

/** The value that a candidate must be shown to reach. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/**
 * `passed`: certified, where the gate has a confidence. `inconclusive`: good enough on the rows, but they are too few
 * to certify it.
 */
export type Verdict = 'passed' | 'failed' | 'inconclusive';

/**
 * Requirement of the gate that a candidate misses: `slice` is the value of a critical slice, `slice_bound` the bound of
 * one that has to be certified. A candidate that misses only bounds is inconclusive.
 */
export type GateFailure = 'value' | 'bound' | 'negative_flips' | 'slice' | 'slice_bound';

/** Verdict on a candidate on the rows of one critical slice. Plain JSON. */
export interface SliceVerdict {
  readonly name: string;
  readonly margin: number;
  /** Whether the slice has to be certified. */
  readonly certify: boolean;
  /** `inconclusive` prevents a publication only if the slice has to be certified. */
  readonly verdict: Verdict;
  /** Number of gate rows. */
  readonly rows: number;
  /** Candidate's value on these rows. */
  readonly value: number;
  /** Value of the version that the margin counts from, on these rows. */
  readonly old: number;
  /** Worst true value that the rows leave possible, at the level of the look. */
  readonly bound: number;
  /** Number of rows that would certify the slice, as in {@link Certificate}. */
  readonly rowsNeeded: number | null;
}

/** Certificate of a gate with a confidence: the verdict on a candidate, and the evidence behind it. Plain JSON. */
export interface Certificate {
  readonly verdict: Verdict;
  /** Confidence that holds for all looks of the job together. */
  readonly confidence: number;
  /** Amount by which the value may be worse than the reference's; null where a number has to be reached. */
  readonly margin: number | null;
  /** Number of gate rows. */
  readonly rows: number;
  /** Number of looks of the job up to and including this one. */
  readonly looks: number;
  /**
   * Approximate number of rows that would certify the candidate, if its rows are too few; null if they are not, or if
   * no number would.
   */
  readonly rowsNeeded: number | null;
  /** The critical slices, in the gate's order. Absent if it names none. */
  readonly slices?: readonly SliceVerdict[];
}

/** The gate's decision on one candidate. Plain JSON. */
export interface GateVerdict {
  readonly verdict: Verdict;
  /** Null where the gate has no confidence, and the value on the rows alone decides. */
  readonly certificate: Certificate | null;
  /** The value that had to be reached. */
  readonly needed: number;
  /**
   * Worst true value that the rows leave possible, at the confidence of this look; it certifies if it reaches `needed`.
   * Null where the gate has no confidence, and for a curtailed look.
   */
  readonly bound: number | null;
  /**
   * Negative flips as a share of the rows; for a curtailed look, among the rows measured so far. Null if the old
   * version was not measured, and for metrics whose rows are neither right nor wrong.
   */
  readonly negativeFlips: number | null;
  /** Requirements that the candidate misses; empty if it passed. For a curtailed look, only those that are certain. */
  readonly failed: readonly GateFailure[];
}
