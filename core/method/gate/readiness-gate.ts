import type { GateRule } from '../../options/gates.ts';
import { judgesRows, type MetricName } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';
import { AdaptationError } from '../errors.ts';
import {
  countFlips,
  lowerBoundOfDifference,
  lowerBoundOfScoreDifference,
  upperBoundOfLossDifference,
  type PairedScores,
} from '../../statistics/paired-statistics.ts';

export interface MetricValue {
  readonly name: MetricName;
  readonly value: number;
  /** Number of rows that the value was measured on. */
  readonly rows: number;
  readonly standardError: number;
}

/** The outcome of every gate row, in the order of the rows. */
export interface RowOutcomes {
  /**
   * 1 for a right row and 0 for a wrong one; for `rouge_l` and `token_f1` the row's score from 0 to 1; for `loss` the summed
   * loss of the row's completion tokens.
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

/** The rule that says whether an adapter is ready, and the metric that it judges. */
export type Gate = Readonly<GateRule> & { readonly metric: MetricName };

/** The value that a candidate's metric must reach; under non-inferiority, its confidence bound must. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/** The part of the gate that a candidate failed. */
export type GateFailure = 'value' | 'bound' | 'negative_flips';

/** The gate's decision on one candidate. Plain JSON. */
export interface GateVerdict {
  readonly passed: boolean;
  /** The value that had to be reached. */
  readonly needed: number;
  /**
   * Under non-inferiority, the number that is compared with `needed`: the old version's value plus the confidence bound of
   * the difference to it. Null under the other rules, which compare the metric itself.
   */
  readonly bound: number | null;
  /**
   * Negative flips as a share of the rows; null if the old version was not measured, and for metrics whose rows are neither
   * right nor wrong.
   */
  readonly negativeFlips: number | null;
  /** Empty if the candidate passed. */
  readonly failed: readonly GateFailure[];
}

export const DEFAULT_CONFIDENCE = 0.95;

/** Tolerance for the rounding of a sum over rows; it has nothing to do with sampling noise. */
const ROUNDING = 1e-9;

/** Whether the gate can only be evaluated if the old version was measured on the old base. */
export function needsOldVersion(gate: Gate): boolean {
  return gate.kind !== 'absolute' || gate.max_negative_flips !== undefined;
}

/**
 * The value that a candidate must reach.
 * @param old the old version's metric on the old base; null if the gate does not need it
 * @throws AdaptationError `invalid_gate` for a bad number or a missing old metric, `metric_mismatch` for another metric
 */
export function resolveTarget(gate: Gate, old: MetricValue | null): GateTarget {
  requireValid(gate);
  if (old) requireMetric(gate.metric, old);
  if (gate.kind === 'absolute') {
    if (!old && needsOldVersion(gate)) throw oldMetricMissing('a gate with a limit of negative flips');
    return { metric: gate.metric, value: gate.target };
  }
  if (!old) throw oldMetricMissing(`a ${gate.kind.replace('_', '-')} gate`);
  return { metric: gate.metric, value: gate.metric === 'loss' ? old.value + gate.margin : old.value - gate.margin };
}

/**
 * Decides on one candidate.
 * @param old the old version on the gate rows, measured on the old base; null if the gate does not need it
 * @param found the candidate on the same rows, measured on the new base
 * @throws AdaptationError `invalid_gate` or `metric_mismatch`, like {@link resolveTarget}
 */
export function judge(gate: Gate, old: GateMeasurement | null, found: GateMeasurement): GateVerdict {
  const { value: needed } = resolveTarget(gate, old && old.metric);
  requireMetric(gate.metric, found.metric);
  const bound =
    gate.kind === 'non_inferiority' && old ? boundOf(found, old, gate.confidence ?? DEFAULT_CONFIDENCE) : null;
  const negativeFlips = old && judgesRows(gate.metric) ? negativeFlipsOf(old, found) : null;
  const failed: GateFailure[] = [];
  if (!reaches(gate.metric, bound ?? found.metric.value, needed)) failed.push(bound === null ? 'value' : 'bound');
  if (negativeFlips !== null && negativeFlips > (gate.max_negative_flips ?? 1) + ROUNDING)
    failed.push('negative_flips');
  return { passed: failed.length === 0, needed, bound, negativeFlips, failed };
}

/** Whether `a` is better than `b` by more than rounding. A value that is not finite (training diverged) is the worst. */
export function isBetter(a: MetricValue, b: MetricValue): boolean {
  requireMetric(a.name, b);
  if (!Number.isFinite(a.value) || !Number.isFinite(b.value)) return Number.isFinite(a.value);
  return a.name === 'loss' ? a.value < b.value - ROUNDING : a.value > b.value + ROUNDING;
}

/** Whether `a` is significantly better than `b`: the confidence bound of their difference on the same rows excludes zero. */
export function isBetterBeyondNoise(a: GateMeasurement, b: GateMeasurement, confidence = DEFAULT_CONFIDENCE): boolean {
  if (!isBetter(a.metric, b.metric)) return false;
  if (!Number.isFinite(b.metric.value)) return true;
  const gained = boundOf(a, b, confidence) - b.metric.value;
  return a.metric.name === 'loss' ? gained < -ROUNDING : gained > ROUNDING;
}

/**
 * `from`'s value plus the one-sided confidence bound of the difference between `found` and `from` on the same rows, on the
 * side on which `found` is worse: Tango's score interval for shares, the bootstrap-t for scores and a loss.
 */
function boundOf(found: GateMeasurement, from: GateMeasurement, confidence: number): number {
  const [before, after] = [from.outcomes.values, found.outcomes.values];
  return from.metric.value + boundOfDifference(found, { before, after }, confidence);
}

function boundOfDifference({ metric, outcomes }: GateMeasurement, scores: PairedScores, confidence: number): number {
  if (metric.name === 'loss') return upperBoundOfLossDifference({ ...scores, tokens: outcomes.tokens }, { confidence });
  if (!judgesRows(metric.name)) return lowerBoundOfScoreDifference(scores, { confidence });
  return lowerBoundOfDifference(countFlips(scores.before, scores.after), confidence);
}

function negativeFlipsOf(old: GateMeasurement, found: GateMeasurement): number {
  const { losses, rows } = countFlips(old.outcomes.values, found.outcomes.values);
  return losses / rows;
}

function reaches(metric: MetricName, value: number, needed: number): boolean {
  return metric === 'loss' ? value <= needed + ROUNDING : value >= needed - ROUNDING;
}

function requireValid(gate: Gate): void {
  const [name, given] = gate.kind === 'absolute' ? ['target', gate.target] : ['margin', gate.margin];
  if (!Number.isFinite(given)) throw invalid(name, given, 'a finite number');
  const confidence = gate.kind === 'non_inferiority' ? (gate.confidence ?? DEFAULT_CONFIDENCE) : DEFAULT_CONFIDENCE;
  if (!(confidence > 0.5 && confidence < 1)) throw invalid('confidence', confidence, 'a number between 0.5 and 1');
  const flips = gate.max_negative_flips;
  if (flips === undefined) return;
  if (!judgesRows(gate.metric)) {
    throw invalid(
      'limit of negative flips',
      flips,
      `none for the metric ${gate.metric}, whose rows are neither right nor wrong`,
    );
  }
  if (!(flips >= 0 && flips <= 1)) throw invalid('limit of negative flips', flips, 'a share from 0 to 1');
}

function invalid(name: string, found: number, expected: string): AdaptationError {
  return new AdaptationError('invalid_gate', `gate ${name} is ${found}, expected ${expected}`);
}

function oldMetricMissing(gate: string): AdaptationError {
  return new AdaptationError('invalid_gate', `${gate} needs the old version's metric on the old base, found none`);
}

function requireMetric(expected: MetricName, { name }: MetricValue): void {
  if (name === expected) return;
  throw new AdaptationError('metric_mismatch', `metric is ${name}, expected ${expected}`);
}
