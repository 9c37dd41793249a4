/** One opening of the gate rows within a job. */
export interface Look {
  /** Number of looks of the job up to this one. */
  readonly total: number;
  /** Number of them since an adapter was published, which are for a better one; 0 before. */
  readonly refining: number;
}

/** The first look of a job. */
export const FIRST_LOOK: Look = { total: 1, refining: 0 };

/** How a job's probability of an error is shared out. The parts add up to 1. */
const SHARES = { first: 0.8, further: 0.1, refined: 0.1 };

/** Number of looks that share the largest part evenly: as many as untrained candidates are judged, or what training ends with. */
export const FIRST_LOOKS = 3;

/**
 * The probability of an error that a look may take, so that all looks of a job together take no more than 1 − confidence,
 * however many there are. Errors add up (Bonferroni) as long as a look gives away nothing but whether the candidate
 * passed: then each candidate that is looked at is one that the looks before, none of them passed, have determined, and not one
 * that the gate rows have chosen (Blum and Hardt, The Ladder, ICML 2015).
 */
export function levelOf({ total, refining }: Look, confidence: number): number {
  const budget = 1 - confidence;
  if (refining > 0) return budget * SHARES.refined * partOf(refining);
  if (total <= FIRST_LOOKS) return (budget * SHARES.first) / FIRST_LOOKS;
  return budget * SHARES.further * partOf(total - FIRST_LOOKS);
}

/** The sequence 1/2, 1/6, 1/12 …, which sums to 1. */
function partOf(place: number): number {
  return 1 / (place * (place + 1));
}
