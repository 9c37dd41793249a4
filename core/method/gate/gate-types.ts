import type { GateRule } from '../../options/gates.ts';
import type { MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';

export interface MetricValue {
  readonly name: MetricName;
  /** Of a curtailed look, the best value that the rows it did not measure leave possible. */
  readonly value: number;
  /** Number of rows that the value is about. */
  readonly rows: number;
  readonly standardError: number;
  /** Set if the look ended as soon as the candidate was certain to fail. */
  readonly curtailed?: CurtailedLook;
}

/** How far a look at the gate rows came that ended early. Plain JSON. */
export interface CurtailedLook {
  /** Number of rows that were measured. */
  readonly measured: number;
}

/** The outcome of every gate row, in the order of the rows. */
export interface RowOutcomes {
  /**
   * 1 for a right row and 0 for a wrong one; for `rouge_l` and `token_f1` the row's score from 0 to 1; for `loss` the summed
   * loss of the row's completion tokens. Rows that a curtailed look did not measure have the best outcome that there is.
   */
  readonly values: ArrayLike<number>;
  /** Completion tokens of each row. Only the metric `loss` needs them. */
  readonly tokens: ArrayLike<number>;
}

/** A metric together with the outcomes of the rows, which a paired comparison needs. */
export interface GateMeasurement {
  readonly metric: MetricValue;
  readonly outcomes: RowOutcomes;
  /** The precision of the base that it was measured on. */
  readonly judgedIn?: Precision;
}

/** How a candidate is measured on the gate rows. */
export interface GateLook {
  /** The version that it is compared with, on its own base; null if the gate does not need it. */
  readonly reference: GateMeasurement | null;
  /** Whether all rows are measured, even if the candidate is certain to fail before. */
  readonly whole: boolean;
}

/** Positions among the gate rows by the name of the slice that the rows are in. */
export type SliceRows = ReadonlyMap<string, readonly number[]>;

/** The rule that says whether an adapter is ready, and the metric that it judges. */
export type Gate = Readonly<GateRule> & {
  readonly metric: MetricName;
  /** Where the gate rows of the slices are. A rule that names critical slices needs it. */
  readonly sliceRows?: SliceRows;
};

/** The value that a candidate must be shown to reach. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/** `passed`: certified, where the gate has a confidence. `inconclusive`: good enough on the rows, which are too few to certify it. */
export type Verdict = 'passed' | 'failed' | 'inconclusive';

/**
 * What of the gate a candidate does not fulfil: `slice` is the value of a critical slice, `slice_bound` the bound of one that has to be
 * certified. Bounds alone make it inconclusive.
 */
export type GateFailure = 'value' | 'bound' | 'negative_flips' | 'slice' | 'slice_bound';

/** What the gate says of a candidate on the rows of a critical slice. Plain JSON. */
export interface SliceVerdict {
  readonly name: string;
  readonly margin: number;
  /** Whether the gate asks for a certificate of it. */
  readonly certify: boolean;
  /** `inconclusive` does not keep a candidate from being published unless the slice has to be certified. */
  readonly verdict: Verdict;
  /** Number of gate rows. */
  readonly rows: number;
  /** The candidate's value on them, and that of the version that the margin counts from. */
  readonly value: number;
  readonly old: number;
  /** The worst true value that the rows leave possible, at the level of the look. */
  readonly bound: number;
  /** As that of a {@link Certificate}. */
  readonly rowsNeeded: number | null;
}

/** What a gate with a confidence says of a candidate, and what of. Plain JSON. */
export interface Certificate {
  readonly verdict: Verdict;
  /** Of all looks of the job together. */
  readonly confidence: number;
  /** By how much the value may be worse than the reference's; null where a number has to be reached. */
  readonly margin: number | null;
  /** Number of gate rows. */
  readonly rows: number;
  /** Number of times that the job had opened them, this one included. */
  readonly looks: number;
  /** Where all rows together are too few to certify it: about how many would do; null if no number would. Else null. */
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
   * The worst true value that the rows leave possible, at the confidence of this look; it certifies if it reaches `needed`. Null
   * where the gate has no confidence, and for a curtailed look.
   */
  readonly bound: number | null;
  /**
   * Negative flips as a share of the rows, those of a curtailed look as far as it came; null if the old version was not measured, and for metrics whose rows are neither
   * right nor wrong.
   */
  readonly negativeFlips: number | null;
  /** Empty if the candidate passed. Of a curtailed look, what is certain. */
  readonly failed: readonly GateFailure[];
}
