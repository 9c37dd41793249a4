import { confidenceOf, DEFAULT_CONFIDENCE, needsOldVersion } from '../../options/gates.ts';
import { judgesRows, type MetricName } from '../../options/metrics.ts';
import { AdaptationError } from '../errors.ts';
import {
  countFlips,
  lowerBoundOfDifference,
  lowerBoundOfScoreDifference,
  upperBoundOfLossDifference,
  type PairedScores,
} from '../../statistics/paired-statistics.ts';
import { FIRST_LOOK, levelOf, type Look } from './error-budget.ts';
import { judgeSlices, sliceFailures } from './critical-slices.ts';
import { absoluteEvidence, pairedEvidence, reaches, type Evidence, type EvidenceClaim } from './evidence.ts';
import { isHopeless } from './futility.ts';
import { rowsToDecide } from './gate-rows.ts';
import { analysesUpTo, certifiesEarly, testAt } from './look-plan.ts';
import { besideFirstRows, firstRows } from './measured-rows.ts';
import type {
  Certificate,
  Gate,
  GateFailure,
  GateMeasurement,
  GateTarget,
  GateVerdict,
  MetricValue,
  Verdict,
} from './gate-types.ts';

export type * from './gate-types.ts';

/**
 * Largest difference between values that counts as rounding in a sum over rows. Sampling noise is dealt with elsewhere.
 */
const ROUNDING = 1e-9;

/**
 * Returns the value of the metric that a candidate must reach to pass the gate.
 * @param old metric of the version that the margin counts from, on its own base; null if the gate does not need it
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

/** Whether the gate allows the publication of a candidate with this verdict. */
export function isPublishable(gate: Gate, { verdict }: Pick<GateVerdict, 'verdict'>): boolean {
  return verdict === 'passed' || (verdict === 'inconclusive' && gate.on_inconclusive === 'publish');
}

/**
 * Whether a candidate with the same outcome as the reference on every row would pass at this look. Always true for an
 * absolute gate, and without a reference.
 */
export function isDecidable(
  gate: Gate,
  reference: GateMeasurement | null,
  look: Look,
  by: typeof judge = judge,
): boolean {
  return gate.kind === 'absolute' || !reference || by(gate, reference, reference, look).verdict === 'passed';
}

/**
 * Judges one candidate by its outcomes on the gate rows that were measured.
 * @param reference measurement of the version that the margin counts from, on the gate rows and that version's own
 * base; null if the gate needs none
 * @param found measurement of the candidate on the same rows, or on the first of them with the value that
 * `estimateOnAll` returns
 * @param look position among the job's looks. Default: the first
 * @throws AdaptationError `invalid_gate` or `metric_mismatch`, like {@link resolveTarget}
 */
export function judge(
  gate: Gate,
  reference: GateMeasurement | null,
  found: GateMeasurement,
  look: Look = FIRST_LOOK,
): GateVerdict {
  const from = reference && besideFirstRows(reference, found.metric.rows);
  const { needed, negativeFlips, failed } = refute(gate, from, found);
  const confidence = confidenceOf(gate);
  if (confidence === null) {
    const verdict = failed.length > 0 ? 'failed' : 'passed';
    return { verdict, certificate: null, needed, bound: null, negativeFlips, failed };
  }
  const { rows: measured, available = measured } = found.metric;
  const level = levelOf(look, confidence);
  const evidence = evidenceOf(gate, from, found, { needed, level });
  const slices = from && measured === available ? judgeSlices(gate, from, found, level) : [];
  if (!evidence.certified) failed.push('bound');
  failed.push(...sliceFailures(slices));
  const verdict = verdictOf(failed);
  const certificate: Certificate = {
    verdict,
    confidence,
    margin: gate.kind === 'absolute' ? null : gate.margin,
    rows: measured,
    availableRows: available,
    analyses: analysesUpTo(measured, available),
    level,
    looks: look.total,
    rowsNeeded: verdict === 'inconclusive' && !evidence.certified ? rowsToDecide(gate, from, found) : null,
    ...(slices.length > 0 && { slices }),
  };
  return { verdict, certificate, needed, bound: evidence.bound, negativeFlips, failed };
}

/**
 * Returns why a look ends after the rows measured so far: the candidate is certified, or it is hopeless. Null if the
 * look goes on.
 */
export function endOfLook(
  gate: Gate,
  reference: GateMeasurement | null,
  found: GateMeasurement,
  look: Look,
): 'certified' | 'futile' | null {
  const confidence = confidenceOf(gate);
  if (reference === null || confidence === null) return null;
  const from = besideFirstRows(reference, found.metric.rows);
  const level = levelOf(look, confidence);
  const { needed, failed } = refute(gate, from, found);
  if (failed.length === 0 && evidenceOf(gate, from, found, { needed, level }).certified) return 'certified';
  return isHopeless(gate, from, found, level) ? 'futile' : null;
}

function refute(gate: Gate, reference: GateMeasurement | null, found: GateMeasurement) {
  const { value: needed } = resolveTarget(gate, reference && reference.metric);
  requireMetric(gate.metric, found.metric);
  const negativeFlips = reference && judgesRows(gate.metric) ? negativeFlipsOf(reference, found) : null;
  const failed: GateFailure[] = [];
  if (!reaches(gate.metric, found.metric.value, needed)) failed.push('value');
  if (negativeFlips !== null && negativeFlips > (gate.max_negative_flips ?? 1) + ROUNDING)
    failed.push('negative_flips');
  return { needed, negativeFlips, failed };
}

/**
 * Returns the verdict on a candidate from the list of requirements that it misses: `passed` if the list is empty,
 * `inconclusive` if the candidate misses only certificates, and `failed` otherwise.
 */
function verdictOf(failed: readonly GateFailure[]): Verdict {
  if (failed.length === 0) return 'passed';
  return failed.every((failure) => failure === 'bound' || failure === 'slice_bound') ? 'inconclusive' : 'failed';
}

function evidenceOf(
  gate: Gate,
  reference: GateMeasurement | null,
  found: GateMeasurement,
  claim: EvidenceClaim,
): Evidence {
  const { rows: measured, available: rows = measured } = found.metric;
  const evidence =
    gate.kind === 'absolute' || !reference
      ? absoluteEvidence(found, claim)
      : pairedEvidence(reference, found, claim, testAt(gate, { measured, rows, level: claim.level }));
  // A hopeless look may end before the rows that the gate needs for a certificate are measured.
  const isPremature = measured < rows && !certifiesEarly(gate);
  return { ...evidence, certified: evidence.certified && !isPremature };
}

/**
 * Whether `a` is better than `b` by more than rounding. A value that is not finite, because training diverged, is worse
 * than any other.
 */
export function isBetter(a: MetricValue, b: MetricValue): boolean {
  requireMetric(a.name, b);
  if (!Number.isFinite(a.value) || !Number.isFinite(b.value)) return Number.isFinite(a.value);
  return a.name === 'loss' ? a.value < b.value - ROUNDING : a.value > b.value + ROUNDING;
}

/**
 * Whether `a` is better than `b` by more than chance: the one-sided confidence bound of their difference is better than
 * zero, on the rows that both were measured on.
 */
export function isBetterBeyondNoise(a: GateMeasurement, b: GateMeasurement, confidence = DEFAULT_CONFIDENCE): boolean {
  const rows = Math.min(a.metric.rows, b.metric.rows);
  const [one, other] = [firstRows(a, rows), firstRows(b, rows)];
  if (!isBetter(one.metric, other.metric)) return false;
  if (!Number.isFinite(other.metric.value)) return true;
  const gained = boundOf(one, other, confidence) - other.metric.value;
  return a.metric.name === 'loss' ? gained < -ROUNDING : gained > ROUNDING;
}

/**
 * Returns the worst true value of `found` that the rows leave plausible: the value of `from`, plus the one-sided
 * confidence bound of the difference between both on the same rows. The bound is Tango's score interval for shares, and
 * the bootstrap-t bound for scores and a loss.
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

function requireValid(gate: Gate): void {
  const [name, given] = gate.kind === 'absolute' ? ['target', gate.target] : ['margin', gate.margin];
  if (!Number.isFinite(given)) throw invalid(name, given, 'a finite number');
  const confidence = gate.confidence ?? DEFAULT_CONFIDENCE;
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
