import type { Coefficients } from '../fusion/coefficients.ts';
import type { Observation } from './bayesian-optimization/surrogate.ts';

/** One evaluation of a search. Plain JSON. */
export interface SearchRecord extends Coefficients {
  /** Number of search rows. */
  readonly rows: number;
  /** Mean completion loss on these rows, in nats per token. */
  readonly loss: number;
}

/** Largest ln(loss / smallest loss) that the model sees. */
const LARGEST_VALUE = 1;

/**
 * Losses of points that were all measured on the same rows, as the model sees them: ln(loss / smallest loss), cut off at 1,
 * because points that are far worse need not be known exactly.
 */
export function observationsOf(records: readonly SearchRecord[]): Observation[] {
  const smallest = Math.max(Number.MIN_VALUE, Math.min(...records.map(({ loss }) => loss)));
  return records.map(({ alpha, beta, loss }) => {
    const value = Math.min(LARGEST_VALUE, Math.log(Math.max(loss, smallest) / smallest));
    return { point: [alpha, beta], value };
  });
}
