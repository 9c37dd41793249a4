import { judgesRows, type MetricName } from '../../options/metrics.ts';
import { lowerBoundOfMean, meanPValue } from '../../statistics/betting-test.ts';
import { lowerBoundOfShare, shortfallPValue } from '../../statistics/binomial-test.ts';
import { exactLowerBound, inferiorityPValue } from '../../statistics/exact-paired-test.ts';
import { normalDistribution } from '../../statistics/distributions.ts';
import {
  countFlips,
  lowerBoundOfDifference,
  upperBoundOfLossDifference,
  type Flips,
} from '../../statistics/paired-statistics.ts';
import { passes } from '../../statistics/sequential-paired-test.ts';
import type { GateMeasurement } from './gate-types.ts';
import type { AnalysisTest } from './look-plan.ts';

/** Result of testing the true value of a metric on gate rows, at a given error probability. */
export interface Evidence {
  /**
   * Whether the rows show that the true value is at least as good as needed, with at most the given error probability.
   */
  readonly certified: boolean;
  /** One-sided confidence bound: the worst true value that the rows do not rule out at the given error probability. */
  readonly bound: number;
}

/**
 * Claim that is tested on gate rows: the true value of the metric is at least as good as `needed`. `level` is the error
 * probability that the test may have.
 */
export interface EvidenceClaim {
  readonly needed: number;
  readonly level: number;
}

/** Tolerance for rounding errors in a sum over rows. */
const ROUNDING = 1e-9;

/**
 * Tests, row by row, whether a candidate is good enough in comparison with the version that its margin counts from. For
 * rows that are right or wrong, the unconditional exact test is used or, in a sequence of analyses, the critical value
 * of the analysis; for scores, the test by betting. These tests hold for every number of rows. There is no such test
 * for a loss, because a loss has no upper limit: the bootstrap-t bound is used instead, which holds only approximately,
 * and better with many rows.
 * @param test test of right and wrong rows at this analysis of the look. Default: the exact test at the claim's level
 */
export function pairedEvidence(
  from: GateMeasurement,
  found: GateMeasurement,
  { needed, level }: EvidenceClaim,
  test: AnalysisTest = { value: null, level },
): Evidence {
  const { name, value, rows, available = rows } = found.metric;
  const [before, after] = [from.outcomes.values, found.outcomes.values];
  if (!Number.isFinite(value)) return { certified: false, bound: value };
  const base = from.metric.value;
  const margin = base - needed;
  if (name === 'loss') {
    const { tokens } = found.outcomes;
    return byBound(base + upperBoundOfLossDifference({ before, after, tokens }, { confidence: 1 - level }), needed);
  }
  if (!judgesRows(name)) {
    // Half of (difference + 1) is in [0, 1].
    const values = Float64Array.from(before, (score, i) => (after[i]! - score + 1) / 2);
    const bets = { values, level, of: available };
    const certified = meanPValue({ ...bets, mean: withinUnit((1 - margin) / 2) }) <= level;
    return { certified, bound: base + 2 * lowerBoundOfMean(bets) - 1 };
  }
  const { certified, difference } = flipEvidence(countFlips(before, after), margin, test);
  return { certified, bound: base + difference };
}

function flipEvidence(flips: Flips, margin: number, { value, level }: AnalysisTest) {
  if (Math.abs(margin) >= 1) return { certified: false, difference: exactLowerBound(flips, level) };
  if (value === Infinity) return { certified: false, difference: -1 };
  if (value !== null) {
    const difference = lowerBoundOfDifference(flips, normalDistribution(value));
    return { certified: passes(flips, margin, value), difference };
  }
  return {
    certified: inferiorityPValue({ ...flips, margin }) <= level,
    difference: exactLowerBound(flips, level),
  };
}

/**
 * Tests whether a candidate's metric reaches a fixed value. The exact binomial test is used for rows that are right or
 * wrong, the test by betting for scores, and the bootstrap-t bound for a loss.
 */
export function absoluteEvidence(found: GateMeasurement, { needed, level }: EvidenceClaim): Evidence {
  const { name, value, rows } = found.metric;
  const { values, tokens } = found.outcomes;
  if (!Number.isFinite(value)) return { certified: false, bound: value };
  if (name === 'loss') {
    const before = Float64Array.from(tokens, (count) => count * needed);
    const bound = needed + upperBoundOfLossDifference({ before, after: values, tokens }, { confidence: 1 - level });
    return byBound(bound, needed);
  }
  const share = withinUnit(needed);
  if (!judgesRows(name)) {
    return {
      certified: meanPValue({ values, mean: share, level }) <= level,
      bound: lowerBoundOfMean({ values, level }),
    };
  }
  const right = Math.round(value * rows);
  const certified = shortfallPValue({ right, rows, share }) <= level;
  return { certified, bound: lowerBoundOfShare({ right, rows }, level) };
}

/**
 * Whether a value of the metric is at least as good as the needed one; a difference as small as rounding does not
 * count.
 */
export function reaches(metric: MetricName, value: number, needed: number): boolean {
  return metric === 'loss' ? value <= needed + ROUNDING : value >= needed - ROUNDING;
}

function byBound(bound: number, needed: number): Evidence {
  return { certified: bound <= needed + ROUNDING, bound };
}

/** Moves a share of 0 or 1 slightly into the open interval (0, 1), because the tests accept neither. */
function withinUnit(share: number): number {
  return Math.min(1 - 1e-12, Math.max(1e-12, share));
}
