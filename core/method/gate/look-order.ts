import type { MetricName } from '../../options/metrics.ts';
import { Random } from '../../statistics/random.ts';
import type { GateMeasurement } from './gate-types.ts';

/** About so many rows are measured between two questions whether the verdict is certain. */
const ROWS_OF_A_PART = 32;

/** Nothing depends on which seed it is, as long as all looks of a job have the same. */
const SEED = 1;

/**
 * Divides the gate rows into the parts that every look of a job measures one after the other, so that looks which end early and
 * whole ones compute the same. First come the rows on which the reference does worst: only there can a candidate gain, and
 * a loss among the others decides as soon as it is known how much there is to gain. Rows on which the reference does
 * equally well come in a random order, because data sets may be sorted by what they ask.
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
