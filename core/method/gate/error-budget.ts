/** Position of one look, which is an evaluation of a candidate on the gate rows, among the looks of its job. */
export interface Look {
  /** Number of looks that the job has taken, this one included. */
  readonly total: number;
  /**
   * Number of the look, from 1, among the looks up to and including the first that ended with a certificate. All later
   * looks have the number of that one.
   */
  readonly number: number;
  /** Number of looks after the first certificate that have ended without a certificate. */
  readonly missed: number;
  /** Whether the job can take no other look. */
  readonly isOnly: boolean;
}

/** Position of the first look of a job that may take more looks. */
export const FIRST_LOOK: Look = { total: 1, number: 1, missed: 0, isOnly: false };

/**
 * Share of a job's error probability that is reserved for looks taken after the first certificate, once one of them has
 * ended without a certificate. The looks up to the first certificate share the rest: the first may use half of it, and
 * each further look half of what is left.
 */
const MISSED = 0.04;

/**
 * Returns the error probability that one look may use. All looks of a job together use no more than 1 − confidence,
 * however many there are, because a look reveals nothing but whether its candidate passed (Blum and Hardt, The Ladder,
 * ICML 2015). Up to the first certificate the levels add up (Bonferroni). A certificate passes the level of its look
 * on to the next one, as in a fixed sequence of tests (Maurer, Hothorn and Lehmacher, 1995): had its candidate not
 * deserved it, the error would have been made already. A look without a certificate has spent its level.
 */
export function levelOf({ number, missed, isOnly }: Look, confidence: number): number {
  const budget = 1 - confidence;
  if (isOnly) return budget;
  const halved = budget * 2 ** -number;
  return missed > 0 ? halved * MISSED * 2 ** -missed : halved * (1 - MISSED);
}
