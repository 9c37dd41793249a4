import { confidenceOf, criticalSlices } from '../../options/gates.ts';
import { rowsOf } from './critical-slices.ts';
import { normalDistribution, normalQuantile } from '../../statistics/distributions.ts';
import { judgesRows } from '../../options/metrics.ts';
import { levelOf, type Look } from './error-budget.ts';
import { varianceOfDifference } from './gate-rows.ts';
import type { Gate, GateMeasurement, SearchMeasurement } from './gate-types.ts';
import { besideFirstRows, onRows } from './measured-rows.ts';
import { isCertifiable } from './power.ts';

/** Next look that a job could take at its gate rows, and the chance of a certificate that makes it worthwhile. */
export interface FurtherLook {
  readonly look: Look;
  /** Probability of a certificate above which the look is worthwhile; at least 0 and below 1. With 0, every look is. */
  readonly leastPower: number;
}

/**
 * Whether a job should make another candidate after one that was good enough on the gate rows but not certified. It
 * should if the next look would certify, with a probability above `leastPower`, a version that is in truth as good as
 * the reference and differs from it on as many rows as the last candidate. The same must hold on each slice that has to
 * be certified. (Stopping for futility by conditional power: Lan, Simon and Halperin, Commun. Stat. C 1, 1982,
 * 207-219.) A job that makes no further candidate publishes nothing, so errors only become rarer. For an absolute gate,
 * another candidate is always worthwhile, because training may exceed the target by any amount.
 */
export function isWorthLooking(
  gate: Gate,
  reference: GateMeasurement | null,
  found: GateMeasurement,
  { look, leastPower: power }: FurtherLook,
): boolean {
  const confidence = confidenceOf(gate);
  if (power <= 0 || gate.kind === 'absolute' || reference === null || confidence === null) return true;
  const level = levelOf(look, confidence);
  const isLikely = (margin: number, from: GateMeasurement, to: GateMeasurement) => {
    const deviation = Math.sqrt(varianceOfDifference(from, to));
    return isCertifiable(to.metric.available ?? to.metric.rows, margin, {
      metric: gate.metric,
      level,
      deviation,
      power,
    });
  };
  const isWhole = found.metric.available === undefined;
  const slices = isWhole ? criticalSlices(gate).filter(({ certify }) => certify) : [];
  return (
    isLikely(gate.margin, besideFirstRows(reference, found.metric.rows), found) &&
    slices.every((slice) => {
      const rows = rowsOf(gate, slice);
      return isLikely(slice.margin, onRows(reference, rows), onRows(found, rows));
    })
  );
}

/** Least conditional power at which the gate judges an adapter in training. */
const PROMISING_POWER = 0.5;

/**
 * Whether an adapter in training is likely to pass the gate at its next look. The adapter is expected to differ from
 * the reference on the gate rows as it does, row by row, on the search rows; it is likely to pass if such a version
 * would be certified with a probability of at least one half. For a gate that judges by the value alone, the difference
 * only has to be within the margin. Always true if the reference's outcomes on the search rows are not known.
 */
export function isLikelyToPass(
  gate: Exclude<Gate, { readonly kind: 'absolute' }>,
  reference: GateMeasurement,
  found: SearchMeasurement,
  look: Look,
): boolean {
  const { metric, onSearch } = reference;
  if (onSearch === undefined) return true;
  const sign = metric.name === 'loss' ? -1 : 1;
  const difference = sign * (found.metric.value - onSearch.metric.value);
  const confidence = confidenceOf(gate);
  if (confidence === null || gate.on_inconclusive === 'publish') return difference >= -gate.margin;
  return isCertifiable(metric.rows, gate.margin, {
    metric: metric.name,
    level: levelOf(look, confidence),
    deviation: Math.sqrt(varianceOfDifference(onSearch, found)),
    difference,
    power: PROMISING_POWER,
  });
}

/** Smallest conditional power at which a look goes on. A look with a lower power ends. */
const LEAST_CONDITIONAL_POWER = 0.15;

/**
 * Whether a look should end before all rows are measured, because its candidate would hardly pass even if it equalled
 * the reference on the rows to come. The conditional power is computed from a normal approximation with the variance of
 * the measured rows. A look may also go on: the end of a hopeless look only makes errors rarer. An absolute gate, and
 * one that judges by the value alone, has no such end.
 */
export function isHopeless(gate: Gate, reference: GateMeasurement, found: GateMeasurement, level: number): boolean {
  if (gate.kind === 'absolute') return false;
  const { name, value, rows, available = rows } = found.metric;
  if (!Number.isFinite(value)) return true;
  const advantage = (name === 'loss' ? -1 : 1) * (value - reference.metric.value);
  const deviation = Math.sqrt(varianceOfDifference(reference, found));
  const isScore = name !== 'loss' && !judgesRows(name);
  const reach = isScore ? Math.sqrt(2 * Math.log(1 / level)) : normalQuantile(1 - level);
  // A gate that publishes inconclusive candidates asks for the value alone.
  const wanted = gate.on_inconclusive === 'publish' ? 0 : (reach * deviation) / Math.sqrt(available);
  const expected = gate.margin + (advantage * rows) / available - wanted;
  const spread = (deviation * Math.sqrt(available - rows)) / available;
  return normalDistribution(expected / spread) < LEAST_CONDITIONAL_POWER;
}
