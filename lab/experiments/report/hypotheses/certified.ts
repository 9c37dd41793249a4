import type { Experiment } from '../../config/load-experiment.ts';
import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord } from '../../records.ts';
import { differencesOf, groupBy } from '../comparisons/compare.ts';
import { ends } from '../comparisons/written-intervals.ts';
import { meanInterval } from '../statistics.ts';
import type { Evidence } from './evidence.ts';
import { judge, together, type Bound, type Finding, type Judgement } from './judgement.ts';
import { intervalOfShare, shareOverTenants } from '../share-interval.ts';

/** Certified version, compared with its margin on the test rows. */
interface CertifiedVersion {
  readonly cell: CellRecord;
  /** Whether the old version's mean on the test rows exceeds the published one's by more than the margin. */
  readonly isBelow: boolean;
  /** Whether the lower end of that difference's 95 % interval exceeds it, too. */
  readonly isClearlyBelow: boolean;
}

const MOST: Bound = { end: 'upper', value: 0.05 };

/**
 * Judges the share of certified publications that are below their margin, over tenants. The share itself decides,
 * because so few tenants cannot prove it: without a single case, the upper end for 15 tenants is 21.8 %. What counts is
 * the mean on the test rows, which are a sample as well: a version exactly at its margin is below it in half of the
 * cases. By the lower end of the difference it hardly ever is.
 */
export function belowTheirMargin(evidence: Evidence): Judgement {
  const { certifying, certified } = certifiedVersions(evidence);
  const shareOf = (key: 'isBelow' | 'isClearlyBelow') =>
    shareOverTenants(
      groupBy(certified, ({ cell }) => writtenName(cell)).map((some) => ({
        count: some.filter((one) => one[key]).length,
        of: some.length,
      })),
    );
  const below = certified.filter(({ isBelow }) => isBelow).length;
  const tenants = new Set(certified.map(({ cell }) => writtenName(cell))).size;
  return together({
    id: 'H7',
    claim: 'certified publications that are truly below their margin are at most 5 %',
    condition: 'the share over tenants at most 5 %; the interval is too wide to prove it',
    findings: [
      byItself(finding(shareOf('isBelow'), { label: '', decides: true })),
      finding(shareOf('isClearlyBelow'), { label: 'by the lower end of the difference', decides: false }),
      finding(independent(below, certified.length), { label: 'as if jobs were independent', decides: false }),
      finding(independent(below, certifying), { label: 'of all jobs that a gate certifies, likewise', decides: false }),
    ],
    notes: [
      `${below} of ${certified.length} certified publications, of ${tenants} tenants; ${certifying} jobs`,
      ...(tenants > 0 ? [`without a single case, the upper end is ${percent(intervalOfShare(0, tenants)[1])} %`] : []),
    ],
  });
}

function independent(count: number, of: number): ReturnType<typeof shareOverTenants> {
  return of === 0 ? null : { mean: count / of, interval: intervalOfShare(count, of) };
}

function finding(
  share: ReturnType<typeof shareOverTenants>,
  { label, decides }: Pick<Finding, 'label' | 'decides'>,
): Finding {
  const interval = share?.interval ?? null;
  const text = share === null ? '–' : `${percent(share.mean)}${ends(interval?.map(percent))} %`;
  return { label, value: share?.mean ?? null, interval, text, result: judge(interval, MOST), decides };
}

/** Judges by the estimate instead of the end of its interval. */
function byItself(one: Finding): Finding {
  return one.value === null ? one : { ...one, result: one.value <= MOST.value ? 'reached' : 'missed' };
}

function percent(value: number): string {
  return (100 * value).toFixed(1);
}

function certifiedVersions({ experiment, cells, old }: Evidence) {
  const certifying = cells.flatMap((cell) => {
    const margin = certifiedMargin(experiment, cell.strategy);
    return margin === null ? [] : [{ cell, margin }];
  });
  const certified = certifying.flatMap(({ cell, margin }): CertifiedVersion[] => {
    const differences = differencesOf(old(cell), cell.first);
    if (differences === null) return [];
    // The interval is over rows, which are a sample, and not over versions.
    const { mean, low } = meanInterval(differences);
    // A difference of exactly the margin is not below it, however the margin is rounded.
    const exceeds = (value: number): boolean => value > margin + 1e-9;
    return [{ cell, isBelow: exceeds(mean), isClearlyBelow: exceeds(low) }];
  });
  return { certifying: certifying.length, certified };
}

/** Margin of a gate that publishes only certified versions, or null. */
function certifiedMargin(experiment: Experiment, strategy: string): number | null {
  const gate = experiment.strategies.find(({ name }) => name === strategy)?.gate ?? experiment.gate;
  return gate.kind === 'absolute' || gate.on_inconclusive === 'publish' ? null : gate.margin;
}
