import type { Coefficients } from '../fusion/coefficients.ts';
import type { SearchObservation } from './bayesian-optimization/surrogate.ts';

/** One evaluation of a search. Plain JSON. */
export interface SearchRecord extends Coefficients {
  /** Number of search rows. */
  readonly rows: number;
  /** Mean completion loss on these rows, in nats per token. */
  readonly loss: number;
}

/** Largest ln(loss / smallest loss) that the model is fitted to. */
const LARGEST_VALUE = 1;

/**
 * Observations for the model, from points that were all measured on the same rows: ln(loss / smallest loss), cut off at
 * 1, because the model need not know much worse points exactly.
 */
export function observationsOf(records: readonly SearchRecord[]): SearchObservation[] {
  const smallest = Math.max(Number.MIN_VALUE, Math.min(...records.map(({ loss }) => loss)));
  return records.map(({ alpha, beta, loss }) => {
    const value = Math.min(LARGEST_VALUE, Math.log(Math.max(loss, smallest) / smallest));
    return { point: [alpha, beta], value };
  });
}
