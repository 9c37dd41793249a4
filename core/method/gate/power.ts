import { judgesRows, type MetricName } from '../../options/metrics.ts';
import { LARGEST_BET } from '../../statistics/betting-test.ts';
import { normalQuantile } from '../../statistics/distributions.ts';
import { inferiorityPValue } from '../../statistics/exact-paired-test.ts';

/** Probability with which a version that is in truth as good as the old one shall be certified, where rows are advised. */
const ADVISED_POWER = 0.8;

/** What is known before a comparison, of the two versions and of the certificate. */
export interface Comparison {
  readonly metric: MetricName;
  /**
   * Standard deviation of one row's difference between the two versions. Where rows are right or wrong, its square is the
   * share of rows that flip.
   */
  readonly deviation: number;
  /** Probability of an error that the certificate may take. */
  readonly level: number;
  /** By how much the new version is better in truth. Default 0. */
  readonly difference?: number;
  /** Probability with which the new version shall be certified. Default 0.8. */
  readonly power?: number;
}

/**
 * The smallest number of rows that certify a margin with 80 % power; Infinity if the true difference is beyond it. A mean's bound
 * needs n = (z + z₀.₈)² σ² / m² to first order (Nam, Biometrics 53, 1997, 1422–1430), which is all there is for a loss. The
 * exact test is tried on rows that are as unlucky as one draw of five. The logarithm of what bets gain is √(2 n ln(1/level)) m / σ −
 * ln(1/level) on average, with a standard deviation of √(2 ln(1/level)), so that this takes the place of z; as many rows as equal
 * scores need come on top, while the variance is learned and bets are as large as they may be.
 */
export function rowsToCertify(margin: number, comparison: Comparison): number {
  const { metric, level, difference = 0 } = comparison;
  const byMoments = rowsOfMean({ ...comparison, difference: margin + difference });
  if (isScore(metric)) return byMoments + rowsOfEqualScores(margin, level);
  let rows = byMoments;
  while (metric !== 'loss' && rows < LARGEST_TRIED && !certifiesUnlucky(rows, margin, comparison)) {
    rows = Math.ceil(rows * 1.02) + 1;
  }
  return rows;
}

/** The number of rows that certify with 80 % power that a mean is on the right side of a number, to first order. */
export function rowsOfMean({ metric, level, deviation, difference = 0, power = ADVISED_POWER }: Comparison): number {
  if (!(difference > 0)) return Infinity;
  const reach = isScore(metric) ? Math.sqrt(2 * Math.log(1 / level)) : normalQuantile(1 - level);
  return Math.max(2, Math.ceil((((reach + normalQuantile(power)) * deviation) / difference) ** 2));
}

/** Whether so many rows certify a margin with the comparison's power. */
export function isCertifiable(rows: number, margin: number, comparison: Comparison): boolean {
  const tried = judgesRows(comparison.metric) && rows <= LARGEST_TRIED;
  return tried ? certifiesUnlucky(rows, margin, comparison) : rowsToCertify(margin, comparison) <= rows;
}

/** The smallest margin that so many rows certify with 80 % power; Infinity if there is none. */
export function certifiableMargin(rows: number, comparison: Comparison): number {
  const largest = comparison.metric === 'loss' ? LARGEST_LOSS : 1;
  let fails = Math.max(0, -(comparison.difference ?? 0));
  let certifies = largest;
  for (let i = 0; i < 60 && certifies - fails > 1e-4 * certifies; i++) {
    const middle = (fails + certifies) / 2;
    if (isCertifiable(rows, middle, comparison)) certifies = middle;
    else fails = middle;
  }
  return certifies === largest ? Infinity : certifies;
}

/** Beyond so many rows, the moments say it nearly as well as the exact test. */
const LARGEST_TRIED = 1500;

/** No difference of losses is larger; nats a token. */
const LARGEST_LOSS = 1000;

/** Whether the exact test certifies rows whose difference is one that draws exceed with the comparison's power. */
function certifiesUnlucky(rows: number, margin: number, comparison: Comparison): boolean {
  const { deviation, level, difference = 0, power = ADVISED_POWER } = comparison;
  if (margin >= 1) return true;
  const unlucky = difference - (normalQuantile(power) * deviation) / Math.sqrt(rows);
  const flips = Math.round(rows * deviation ** 2);
  const losses = Math.min(flips, Math.max(0, Math.ceil((flips - rows * unlucky) / 2)));
  return inferiorityPValue({ gains: flips - losses, losses, rows, margin }) <= level;
}

/** Bets on scores that do not differ gain up to three quarters of the margin each. */
function rowsOfEqualScores(margin: number, level: number): number {
  return Math.ceil(Math.log(1 / level) / Math.log1p(LARGEST_BET * margin));
}

function isScore(metric: MetricName): boolean {
  return metric !== 'loss' && !judgesRows(metric);
}
