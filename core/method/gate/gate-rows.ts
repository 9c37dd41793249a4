import { judgesRows, metricTitle } from '../../options/metrics.ts';
import { countFlips, lossDifference, scoreDifference } from '../../statistics/paired-statistics.ts';
import { normalQuantile } from '../../statistics/distributions.ts';
import { DEFAULT_CONFIDENCE, type Gate, type GateMeasurement } from './readiness-gate.ts';

/** Probability with which a version that is in truth as good as the old one shall pass, for the number of rows advised. */
const POWER = 0.8;

/**
 * A warning if the gate rows are too few for the gate's margin, with about how many would suffice; null if they suffice or
 * the gate has no margin. Let σ be the standard deviation of a row's difference between the two versions. Then n rows
 * resolve a margin m if the standard error σ / √n is below it, and they show non-inferiority of an equal version with 80 %
 * power if n = (z_confidence + z_0.8)² σ² / m² (Nam, Biometrics 53, 1997, 1422–1430, to first order; for shares, σ² is the
 * share of discordant rows).
 * @param old the old version on the gate rows; null if it was not measured
 * @param found a candidate on the same rows
 */
export function rowsWarning(gate: Gate, old: GateMeasurement | null, found: GateMeasurement): string | null {
  if (gate.kind === 'absolute' || !old) return null;
  const { name, rows } = found.metric;
  const deviation = Math.sqrt(varianceOfDifference(old, found));
  if (!Number.isFinite(deviation)) return null;
  const { margin } = gate;
  const reach = gate.kind === 'relative' ? 1 : normalQuantile(gate.confidence ?? DEFAULT_CONFIDENCE);
  const resolved = (reach * deviation) / Math.sqrt(rows);
  if (resolved <= margin) return null;
  const told = `${rows} gate rows resolve a difference in ${metricTitle(name)} of ${resolved.toPrecision(2)}`;
  if (margin === 0) return `${told}; no number of rows resolves a margin of 0`;
  const factor = gate.kind === 'relative' ? 1 : reach + normalQuantile(POWER);
  const needed = Math.ceil((factor * deviation) ** 2 / margin ** 2);
  const outcome = gate.kind === 'relative' ? 'pass or failure' : 'failure';
  return `${told}, but the gate's margin is ${margin}: a ${outcome} may be due to chance; about ${needed} rows would suffice`;
}

/**
 * Variance of one row's difference. For shares and scores it is at least what a single discordant row would give, because observing
 * none does not mean that there are none.
 */
function varianceOfDifference(old: GateMeasurement, found: GateMeasurement): number {
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
