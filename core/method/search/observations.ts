import type { Coefficients } from '../fusion/coefficients.ts';
import type { SearchObservation } from './bayesian-optimization/surrogate.ts';

/** Loss that a search has measured at one pair of fusion coefficients. Plain JSON. */
export interface SearchRecord extends Coefficients {
  /** Number of search rows on which the loss was measured. */
  readonly rows: number;
  /** Mean loss of the completions in the search rows, in nats a token. */
  readonly loss: number;
}

/** Largest value that the model is fitted to, where a value is ln(loss / smallest loss). */
const LARGEST_VALUE = 1;

/**
 * Converts losses measured on the same rows to observations for the model. Each value is ln(loss / smallest loss), but
 * at most 1, because the model need not know points exactly that are much worse.
 */
export function observationsOf(records: readonly SearchRecord[]): SearchObservation[] {
  const smallest = Math.max(Number.MIN_VALUE, Math.min(...records.map(({ loss }) => loss)));
  return records.map(({ alpha, beta, loss }) => {
    const value = Math.min(LARGEST_VALUE, Math.log(Math.max(loss, smallest) / smallest));
    return { point: [alpha, beta], value };
  });
}
