import { criticalSlices } from '../../options/gates.ts';
import { onRows, rowsOf } from './critical-slices.ts';
import { levelOf, type Look } from './error-budget.ts';
import { varianceOfDifference } from './gate-rows.ts';
import type { Gate, GateMeasurement } from './gate-types.ts';
import { isCertifiable } from './power.ts';
import { confidenceOf } from './readiness-gate.ts';

/** Next look that a job could take at its gate rows, and the chance of a certificate that makes it worthwhile. */
export interface FurtherLook {
  readonly look: Look;
  /** Probability of a certificate above which the look is worthwhile; at least 0 and below 1. With 0, every look is. */
  readonly leastPower: number;
}

/**
 * Whether it is worthwhile to make another candidate after one that was good enough on the gate rows but not certified.
 * It is if the next look would certify, with more than the given probability, a version that is in truth as good as the
 * reference and differs from it on as many rows as the last candidate. All slices that have to be certified must be
 * likely to be so, too. (Stopping for futility by conditional power: Lan, Simon and Halperin, Commun. Stat. C 1, 1982,
 * 207-219.) A job that ends here publishes nothing, so errors only become rarer. For an absolute gate, another
 * candidate is always worthwhile: training may exceed the number by any amount.
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
    return isCertifiable(to.metric.rows, margin, { metric: gate.metric, level, deviation, power });
  };
  const slices = criticalSlices(gate).filter(({ certify }) => certify);
  return (
    isLikely(gate.margin, reference, found) &&
    slices.every((slice) => {
      const rows = rowsOf(gate, slice);
      return isLikely(slice.margin, onRows(reference, rows), onRows(found, rows));
    })
  );
}
