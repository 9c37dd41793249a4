import { countFlips, lossDifference } from '../../statistics/paired-statistics.ts';
import { normalQuantile } from '../../statistics/distributions.ts';
import { DEFAULT_CONFIDENCE, type Gate, type GateMeasurement } from './readiness-gate.ts';

/** Chance of passing that the number of rows named is for, where the new version is in truth as good as the old one. */
const POWER = 0.8;

/**
 * A sentence where the gate's rows are too few for its margin, with about how many would do; null where they are not. By
 * the spread of the difference on the same rows, of which σ is the standard deviation, n rows resolve a margin m if the
 * standard error σ / √n is below it, and non-inferiority is shown of an equal version with 80 % power by
 * n = (z_confidence + z_0.8)² σ² / m² (Nam, Biometrics 53, 1997, 1422–1430, to first order; for proportions σ² is the
 * share of discordant rows).
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
  const told = `${rows} gate rows resolve a difference in ${name.replace('_', ' ')} of ${resolved.toPrecision(2)}`;
  if (margin === 0) return `${told}; a margin of 0 is below any number of rows`;
  const factor = gate.kind === 'relative' ? 1 : reach + normalQuantile(POWER);
  const needed = Math.ceil((factor * deviation) ** 2 / margin ** 2);
  return `${told}, the gate's margin is ${margin}: a ${gate.kind === 'relative' ? 'pass or failure' : 'failure'} may be chance; about ${needed} rows would tell`;
}

/** Of one row. Of proportions at least what one discordant row would give: none seen is not none. */
function varianceOfDifference(old: GateMeasurement, found: GateMeasurement): number {
  const [before, after] = [old.outcomes.values, found.outcomes.values];
  if (found.metric.name === 'loss') {
    return lossDifference({ before, after, tokens: found.outcomes.tokens }).standardError ** 2 * before.length;
  }
  const { gains, losses, rows } = countFlips(before, after);
  return Math.max(1, gains + losses) / rows;
}
