import { DEFAULT_CONFIDENCE } from '../../options/gates.ts';
import { judgesRows, metricTitle, type MetricName } from '../../options/metrics.ts';
import { countFlips, lossDifference, scoreDifference } from '../../statistics/paired-statistics.ts';
import { FIRST_LOOK, levelOf } from './error-budget.ts';
import { levelOfOneTest } from './look-plan.ts';
import { rowsOfMean, rowsToCertify } from './power.ts';
import type { Certificate, Gate, GateMeasurement, GateVerdict, SearchMeasurement, SliceVerdict } from './gate-types.ts';

/**
 * Estimates how many gate rows would certify a candidate at the first look of a job; null if no number would. The true
 * value of the candidate is assumed to be its value on the given rows or, if that is better than the reference's, as
 * good as the reference's.
 */
export function rowsToDecide(gate: Gate, reference: GateMeasurement | null, found: GateMeasurement): number | null {
  const { name: metric, value, standardError, rows } = found.metric;
  const level = levelOf(FIRST_LOOK, gate.confidence ?? DEFAULT_CONFIDENCE);
  const sign = metric === 'loss' ? -1 : 1;
  if (gate.kind === 'absolute' || !reference) {
    const target = gate.kind === 'absolute' ? gate.target : 0;
    const deviation = standardError * Math.sqrt(rows);
    return finite(rowsOfMean({ metric, deviation, level, difference: sign * (value - target) }));
  }
  const difference = Math.min(0, sign * (value - reference.metric.value));
  const deviation = Math.sqrt(varianceOfDifference(reference, found));
  const assumptions = { metric, deviation, level: levelOfOneTest(gate, level), difference };
  return finite(rowsToCertify(gate.margin, assumptions));
}

/**
 * Writes a warning about an inconclusive candidate: the claims that its rows cannot certify, and how many rows would.
 * Null for any other candidate.
 */
export function rowsWarning({
  certificate,
  metric,
  failed,
}: Pick<GateVerdict, 'certificate' | 'failed'> & Pick<GateMeasurement, 'metric'>): string | null {
  if (certificate?.verdict !== 'inconclusive') return null;
  const slices = (certificate.slices ?? []).filter(({ certify, verdict }) => certify && verdict === 'inconclusive');
  return [...(failed.includes('bound') ? [certificate] : []), ...slices]
    .map((open) => undecided(open, { confidence: certificate.confidence, metric: metric.name, value: metric.value }))
    .join('; ');
}

/**
 * Writes one sentence of the warning: which rows do not certify which claim, and how many would.
 * @param open certificate or slice that is inconclusive
 * @param whole confidence, metric and value of all rows together
 */
function undecided(
  open: Pick<Certificate, 'margin' | 'rows' | 'rowsNeeded'> & Partial<Pick<SliceVerdict, 'name' | 'value'>>,
  whole: { readonly confidence: number; readonly metric: MetricName; readonly value: number },
): string {
  const { name, value = whole.value, margin, rows, rowsNeeded } = open;
  const which = name === undefined ? `${rows} gate rows` : `the ${rows} gate rows of slice ${name}`;
  const edge = margin === null ? 'the target' : `a margin of ${margin}`;
  const needed =
    rowsNeeded === null
      ? 'no number of rows would, unless they show another difference'
      : `about ${rowsNeeded} rows would`;
  const confidence = `${Number((whole.confidence * 100).toFixed(4))} %`;
  const claim = `${metricTitle(whole.metric)} ${value.toPrecision(4)} within ${edge} at ${confidence}`;
  return `${which} do not certify ${claim}: ${needed}`;
}

const finite = (rows: number): number | null => (Number.isFinite(rows) ? rows : null);

/**
 * Returns the variance, over rows, of the difference between two versions. For shares and scores it is at least as
 * large as if one row differed: even if all rows agree, others might differ.
 */
export function varianceOfDifference(old: SearchMeasurement, found: SearchMeasurement): number {
  const [before, after] = [old.outcomes.values, found.outcomes.values];
  if (found.metric.name === 'loss') {
    return lossDifference({ before, after, tokens: found.outcomes.tokens }).standardError ** 2 * before.length;
  }
  if (!judgesRows(found.metric.name)) {
    return Math.max(1 / before.length, scoreDifference({ before, after }).standardError ** 2 * before.length);
  }
  const { gains, losses, rows } = countFlips(before, after);
  return Math.max(1, gains + losses) / rows;
}
