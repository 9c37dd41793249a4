import type { GateRule } from '../../options/gates.ts';
import { AdaptationError } from '../errors.ts';
import { countFlips, lowerBoundOfDifference, upperBoundOfLossDifference } from '../../statistics/paired-statistics.ts';

/** Accuracies are shares from 0 to 1, larger is better; loss is in nats a completion token, smaller is better. */
export type MetricName = 'accuracy' | 'exact_match' | 'loss';

export interface MetricValue {
  readonly name: MetricName;
  readonly value: number;
  /** Rows it was measured on. */
  readonly rows: number;
  readonly standardError: number;
}

/** What each gate row says, in the rows' order: 1 right and 0 wrong; under `loss` the sum over its completion tokens. */
export interface RowOutcomes {
  readonly values: ArrayLike<number>;
  /** Completion tokens of each row; only a loss needs them. */
  readonly tokens: ArrayLike<number>;
}

/** A metric, and the rows that it comes from: what a paired comparison needs. */
export interface GateMeasurement {
  readonly metric: MetricValue;
  readonly outcomes: RowOutcomes;
}

/** What an adapter must reach, and in which metric. */
export type Gate = Readonly<GateRule> & { readonly metric: MetricName };

/** The value that an adapter's value, or under non-inferiority its bound, has to reach. */
export interface GateTarget {
  readonly metric: MetricName;
  readonly value: number;
}

/** The part of a gate that was not passed. */
export type GateFailure = 'value' | 'bound' | 'negative_flips';

/** What the gate says of one adapter. Plain JSON. */
export interface GateVerdict {
  readonly passed: boolean;
  readonly needed: number;
  /**
   * What is compared under non-inferiority: the old version's value plus the confidence bound of the difference. Null
   * under the other rules, which compare the value itself.
   */
  readonly bound: number | null;
  /** Share of the rows; null where the old version was not measured, or by its loss. */
  readonly negativeFlips: number | null;
  /** Empty where it passed. */
  readonly failed: readonly GateFailure[];
}

export const DEFAULT_CONFIDENCE = 0.95;

/** Guards against rounding in a sum of rows, not against noise. */
const ROUNDING = 1e-9;

/** Whether the old version has to be measured on the old base. */
export function needsOldVersion(gate: Gate): boolean {
  return gate.kind !== 'absolute' || gate.max_negative_flips !== undefined;
}

/**
 * The value to be reached.
 * @param old the old version's metric on the old base; null where the gate does not need it
 * @throws AdaptationError `invalid_gate` or `metric_mismatch`
 */
export function resolveTarget(gate: Gate, old: MetricValue | null): GateTarget {
  requireValid(gate);
  if (needsOldVersion(gate) && !old) {
    const what = gate.kind === 'absolute' ? 'a limit of negative flips' : `a ${gate.kind.replace('_', '-')} gate`;
    throw new AdaptationError('invalid_gate', `${what} needs the old version's metric on the old base, found none`);
  }
  if (old) requireMetric(gate.metric, old);
  if (gate.kind === 'absolute') return { metric: gate.metric, value: gate.target };
  return { metric: gate.metric, value: gate.metric === 'loss' ? old!.value + gate.margin : old!.value - gate.margin };
}

/**
 * Judges one adapter on the gate rows of the new base.
 * @param old the old version on the same rows, on the old base
 * @throws AdaptationError `invalid_gate` or `metric_mismatch`
 */
export function judge(gate: Gate, old: GateMeasurement | null, found: GateMeasurement): GateVerdict {
  const { value: needed } = resolveTarget(gate, old && old.metric);
  requireMetric(gate.metric, found.metric);
  const bound = gate.kind === 'non_inferiority' ? boundOf(found, old!, gate.confidence ?? DEFAULT_CONFIDENCE) : null;
  const negativeFlips = old && gate.metric !== 'loss' ? negativeFlipsOf(old, found) : null;
  const failed: GateFailure[] = [];
  if (!reaches(gate.metric, bound ?? found.metric.value, needed)) failed.push(bound === null ? 'value' : 'bound');
  if (negativeFlips !== null && negativeFlips > (gate.max_negative_flips ?? 1) + ROUNDING)
    failed.push('negative_flips');
  return { passed: failed.length === 0, needed, bound, negativeFlips, failed };
}

/** Whether `a` is better than `b`, beyond rounding; a value that is not finite (training diverged) is the worst. */
export function isBetter(a: MetricValue, b: MetricValue): boolean {
  requireMetric(a.name, b);
  if (!Number.isFinite(a.value) || !Number.isFinite(b.value)) return Number.isFinite(a.value);
  return a.name === 'loss' ? a.value < b.value - ROUNDING : a.value > b.value + ROUNDING;
}

/** Whether `a` is better than `b` by more than chance: the confidence bound of their difference on the same rows says so. */
export function isBetterBeyondNoise(a: GateMeasurement, b: GateMeasurement, confidence = DEFAULT_CONFIDENCE): boolean {
  if (!isBetter(a.metric, b.metric)) return false;
  if (!Number.isFinite(b.metric.value)) return true;
  const gained = boundOf(a, b, confidence) - b.metric.value;
  return a.metric.name === 'loss' ? gained < -ROUNDING : gained > ROUNDING;
}

/** `from`'s value plus the confidence bound of the difference to it: on the side on which `found` would be worse. */
function boundOf(found: GateMeasurement, from: GateMeasurement, confidence: number): number {
  const [before, after] = [from.outcomes.values, found.outcomes.values];
  if (found.metric.name !== 'loss')
    return from.metric.value + lowerBoundOfDifference(countFlips(before, after), confidence);
  return (
    from.metric.value + upperBoundOfLossDifference({ before, after, tokens: found.outcomes.tokens }, { confidence })
  );
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
  if (gate.metric === 'loss') throw invalid('limit of negative flips', flips, 'none for the metric loss');
  if (!(flips >= 0 && flips <= 1)) throw invalid('limit of negative flips', flips, 'a share from 0 to 1');
}

function invalid(name: string, found: number, expected: string): AdaptationError {
  return new AdaptationError('invalid_gate', `gate ${name} is ${found}, expected ${expected}`);
}

function requireMetric(expected: MetricName, { name }: MetricValue): void {
  if (name === expected) return;
  throw new AdaptationError('metric_mismatch', `metric is ${name}, expected ${expected}`);
}
