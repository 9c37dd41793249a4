import { criticalSlices } from '../../options/gates.ts';
import { onRows, rowsOf } from './critical-slices.ts';
import { levelOf, type Look } from './error-budget.ts';
import { varianceOfDifference } from './gate-rows.ts';
import type { Gate, GateMeasurement } from './gate-types.ts';
import { isCertifiable } from './power.ts';
import { confidenceOf } from './readiness-gate.ts';

/** A look that is still to come, and what probability of a certificate it has to exceed. */
export interface FurtherLook {
  readonly look: Look;
  /** From 0, which every look exceeds, to below 1. */
  readonly leastPower: number;
}

/**
 * Whether another candidate is worth making after one that was good enough on the gate rows and not certified: whether the look at
 * it certifies, with more than the given probability, a version that is in truth as good as the reference and differs from it on as many rows as
 * the candidate before. Everything that has to be certified counts. (Stopping for futility by conditional power: Lan, Simon and
 * Halperin, Commun. Stat. C 1, 1982, 207-219.) A job that ends here publishes nothing, so errors only become rarer. Where a
 * number is asked for, another candidate is always worth it: a training may exceed the number by any amount.
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
