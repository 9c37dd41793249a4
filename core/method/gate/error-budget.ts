/** Position of one look, which is an evaluation of a candidate on the gate rows, among the looks of its job. */
export interface Look {
  /** Number of looks that the job has taken at the gate rows, this one included. */
  readonly total: number;
  /**
   * Number of the job's looks that followed the first candidate that may be published, in search of a better one; 0
   * until then.
   */
  readonly refining: number;
}

/** Position of the first look of a job. */
export const FIRST_LOOK: Look = { total: 1, refining: 0 };

/**
 * Parts of a job's error probability: for the first three looks together, for all further ones, and for those after a
 * publication. They add up to 1.
 */
const SHARES = { first: 0.8, further: 0.1, refined: 0.1 };

/**
 * Number of first looks, which divide their part of the error probability evenly. A job judges about as many candidates
 * before training or at its end.
 */
export const FIRST_LOOKS = 3;

/**
 * Returns the error probability that one look may use. All looks of a job together use no more than 1 − confidence,
 * however many there are. The probabilities may be added (Bonferroni) as long as a look reveals nothing but whether the
 * candidate passed: if none has passed, the gate rows have had no influence on the choice of the next candidate (Blum
 * and Hardt, The Ladder, ICML 2015).
 */
export function levelOf({ total, refining }: Look, confidence: number): number {
  const budget = 1 - confidence;
  if (refining > 0) return budget * SHARES.refined * partOf(refining);
  if (total <= FIRST_LOOKS) return (budget * SHARES.first) / FIRST_LOOKS;
  return budget * SHARES.further * partOf(total - FIRST_LOOKS);
}

/** Returns one term of the series 1/2, 1/6, 1/12 …, whose sum is 1. Places count from 1. */
function partOf(place: number): number {
  return 1 / (place * (place + 1));
}
