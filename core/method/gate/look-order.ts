import type { MetricName } from '../../options/metrics.ts';
import { Random } from '../../statistics/random.ts';
import type { GateMeasurement } from './gate-types.ts';

/**
 * Approximate number of gate rows that a look measures before it checks again whether the candidate is certain to fail.
 */
const ROWS_OF_A_PART = 32;

/** Seed of the random order of the gate rows. Any value would do, but all looks of a job have to use the same. */
const SEED = 1;

/**
 * Divides the gate rows into the parts that every look of a job measures one after the other. Looks that end early and
 * whole looks have the same order and therefore compute the same values. The rows on which the reference does worst
 * come first: a candidate can gain only there, so once they are measured, the possible gain is known, and each loss
 * among the other rows can settle the verdict. Rows on which the reference does equally well come in a random order,
 * because data sets may be sorted by topic.
 * @param reference the version that the candidate is compared with; null if there is none
 * @returns indices of rows, ascending in every part
 */
export function lookOrder(metric: MetricName, rows: number, reference: GateMeasurement | null): number[][] {
  const order = Random.fromSeed(SEED).shuffle(Array.from({ length: rows }, (_, row) => row));
  if (reference) {
    const { values } = reference.outcomes;
    const quality = (row: number) => (metric === 'loss' ? -values[row]! : values[row]!);
    order.sort((a, b) => quality(a) - quality(b));
  }
  const parts = Math.max(1, Math.round(rows / ROWS_OF_A_PART));
  const edge = (part: number) => Math.round((part * rows) / parts);
  return Array.from({ length: parts }, (_, part) => order.slice(edge(part), edge(part + 1)).sort((a, b) => a - b));
}
