import { judgesRows, type MetricName } from '../../options/metrics.ts';
import { LARGEST_BET } from '../../statistics/betting-test.ts';
import { normalQuantile } from '../../statistics/distributions.ts';
import { inferiorityPValue } from '../../statistics/exact-paired-test.ts';

/**
 * Power for which numbers of rows are advised: the probability that a version in truth as good as the old one is
 * certified.
 */
const ADVISED_POWER = 0.8;

/**
 * Assumptions about two versions and about the test that compares them. They tell how many rows a certificate takes
 * before anything is measured.
 */
export interface PowerAssumptions {
  readonly metric: MetricName;
  /**
   * Standard deviation, over rows, of the difference between the two versions. Where rows are right or wrong, its
   * square is the share of rows that flip.
   */
  readonly deviation: number;
  /** Error probability of the test: the largest probability that a certificate is wrong. */
  readonly level: number;
  /** True value of the new version minus that of the old one, positive if the new one is better. Default 0. */
  readonly difference?: number;
  /** Probability with which the test is to certify the new version. Default 0.8. */
  readonly power?: number;
}

/**
 * Returns the smallest number of rows that certify a margin with the assumed power; Infinity if the new version is in
 * truth worse than the margin allows. A bound of a mean needs n = (z + z₀.₈)² σ² / m² rows to first order (Nam,
 * Biometrics 53, 1997, 1422–1430); for a loss, this estimate is the result. For rows that are right or wrong,
 * increasing numbers from this estimate on are tried until the exact test certifies even an unlucky sample, one as bad
 * as the worst fifth. For scores, the logarithm of the gain from betting is √(2 n ln(1/level)) m / σ − ln(1/level) on
 * average, with a standard deviation of √(2 ln(1/level)), which takes the place of z. The number of rows that equal
 * scores need is added, because the variance has to be learned while bets are as large as allowed.
 */
export function rowsToCertify(margin: number, comparison: PowerAssumptions): number {
  const estimate = firstOrderRows(margin, comparison);
  if (!judgesRows(comparison.metric)) return estimate;
  let rows = estimate;
  while (rows < LARGEST_TRIED && !certifiesUnlucky(rows, margin, comparison)) rows = Math.ceil(rows * 1.02) + 1;
  return rows;
}

function firstOrderRows(margin: number, comparison: PowerAssumptions): number {
  const { metric, level, difference = 0 } = comparison;
  const ofMean = rowsOfMean({ ...comparison, difference: margin + difference });
  return isScore(metric) ? ofMean + rowsOfEqualScores(margin, level) : ofMean;
}

/**
 * Returns the approximate number of rows needed to show, with the given power, that a mean exceeds a fixed number by
 * which it is larger in truth; Infinity if it is not larger.
 */
export function rowsOfMean({
  metric,
  level,
  deviation,
  difference = 0,
  power = ADVISED_POWER,
}: PowerAssumptions): number {
  if (!(difference > 0)) return Infinity;
  const reach = isScore(metric) ? Math.sqrt(2 * Math.log(1 / level)) : normalQuantile(1 - level);
  return Math.max(2, Math.ceil((((reach + normalQuantile(power)) * deviation) / difference) ** 2));
}

/** Whether a number of rows certifies the margin with the assumed power. */
export function isCertifiable(rows: number, margin: number, comparison: PowerAssumptions): boolean {
  const { metric, level } = comparison;
  if (judgesRows(metric) && rows <= LARGEST_TRIED) return certifiesUnlucky(rows, margin, comparison);
  // Without a single flip, the exact test's p-value is (1 − margin)ⁿ.
  if (judgesRows(metric) && rows * Math.log1p(-margin) > Math.log(level)) return false;
  return firstOrderRows(margin, comparison) <= rows;
}

/**
 * Returns the smallest margin that a number of rows certifies with the assumed power; Infinity if they certify none.
 */
export function certifiableMargin(rows: number, comparison: PowerAssumptions): number {
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

/** Largest number of rows for which the exact test is tried. Beyond it, the first-order estimate is nearly as good. */
const LARGEST_TRIED = 1500;

/** Largest margin that is tried for the metric `loss`, in nats a token. */
const LARGEST_LOSS = 1000;

/**
 * Whether the exact test certifies a version even by an unlucky sample of rows: the share `power` of all samples shows
 * a larger difference in favor of the version.
 */
function certifiesUnlucky(rows: number, margin: number, comparison: PowerAssumptions): boolean {
  const { deviation, level, difference = 0, power = ADVISED_POWER } = comparison;
  if (margin >= 1) return true;
  const unlucky = difference - (normalQuantile(power) * deviation) / Math.sqrt(rows);
  const flips = Math.round(rows * deviation ** 2);
  const losses = Math.min(flips, Math.max(0, Math.ceil((flips - rows * unlucky) / 2)));
  return inferiorityPValue({ gains: flips - losses, losses, rows, margin }) <= level;
}

/**
 * Returns the number of rows that certify a margin if both versions score the same on every row. A bet then gains at
 * most three quarters of the margin on each row.
 */
function rowsOfEqualScores(margin: number, level: number): number {
  return Math.ceil(Math.log(1 / level) / Math.log1p(LARGEST_BET * margin));
}

function isScore(metric: MetricName): boolean {
  return metric !== 'loss' && !judgesRows(metric);
}
