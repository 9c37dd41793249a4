import type { CellRecord } from '../../records.ts';
import { compareQuality, groupBy } from '../comparisons/compare.ts';
import { pointsBetter } from '../comparisons/written-intervals.ts';
import type { PairedInterval } from '../comparisons/paired-interval.ts';
import { seconds, table } from '../format.ts';
import { withCopies, type Evidence } from '../hypotheses/evidence.ts';
import { durationOf, medianTime } from '../readiness.ts';
import { mean } from '../statistics.ts';

/** One setting of a sweep. */
export interface SweptSetting {
  readonly strategy: string;
  readonly jobs: number;
  readonly ready: number;
  /** Mean of the final test values, each task counting the same; the copy's where a job ended without a candidate. */
  readonly value: number;
  readonly withoutCandidate: number;
  /** Milliseconds by which half of the jobs were ready; null if fewer were. */
  readonly medianMs: number | null;
  readonly isWinner: boolean;
  /** The setting minus the winner on the same test rows; null for the winner itself. */
  readonly againstWinner: PairedInterval | null;
}

/** Settings whose means are this near to the largest are as good as it, and the time decides among them. */
const NEAR = 0.003;

/**
 * The winner of a sweep has the largest mean of final test values; among those within 0.3 points of it, the one whose jobs were ready
 * soonest: the time by which half of them were ready, then the number that were ready, then the mean.
 * @returns the settings in the order of the experiment
 */
export function sweptSettings(evidence: Evidence): SweptSetting[] {
  const cells = withCopies(evidence);
  const settings = evidence.experiment.strategies.flatMap(({ name }) => {
    const own = cells.filter((cell) => cell.strategy === name && cell.final !== null);
    return own.length === 0 ? [] : [settingOf(name, own, evidence)];
  });
  const largest = Math.max(...settings.map(({ value }) => value));
  // The edge belongs to those that are near, however the means are rounded.
  const near = settings.filter(({ value }) => value >= largest - NEAR - 1e-9);
  const [winner] = near.toSorted(
    (a, b) => timeOf(a) - timeOf(b) || b.ready / b.jobs - a.ready / a.jobs || b.value - a.value,
  );
  return settings.map((one) => ({
    ...one,
    isWinner: one === winner,
    againstWinner: one === winner ? null : compareQuality(cells, one.strategy, winner!.strategy).quality,
  }));
}

/** A finite number, so that two settings without a median do not differ by NaN. */
function timeOf({ medianMs }: Pick<SweptSetting, 'medianMs'>): number {
  return medianMs ?? Number.MAX_VALUE;
}

function settingOf(strategy: string, own: readonly CellRecord[], { cells }: Evidence) {
  const valuesOf = (some: readonly CellRecord[]): number => mean(some.map(({ final }) => final!.value));
  return {
    strategy,
    jobs: own.length,
    ready: own.filter(({ state }) => state === 'ready').length,
    value: mean(groupBy(own, ({ task }) => task).map(valuesOf)),
    withoutCandidate: cells.filter((cell) => cell.strategy === strategy && cell.final === null).length,
    medianMs: medianTime(own.map(durationOf)),
  };
}

export function winnerSection(settings: readonly SweptSetting[]): string[] {
  if (settings.length === 0) return [];
  return [
    '## Winner of the sweep',
    '',
    'The largest mean of final test values; among those within 0.3 points of it, the one whose jobs were ready soonest. Where a job ended without',
    'a candidate, the unchanged copy stands for it.',
    '',
    ...table(
      [
        'setting',
        'jobs',
        'ready',
        'half ready after, s',
        'mean, %',
        'without a candidate',
        'points against the winner (95 %)',
      ],
      settings.map((one) => [
        one.isWinner ? `**${one.strategy}**` : one.strategy,
        String(one.jobs),
        String(one.ready),
        seconds(one.medianMs),
        (100 * one.value).toFixed(1),
        String(one.withoutCandidate),
        one.isWinner ? '**winner**' : pointsBetter(one.againstWinner),
      ]),
    ),
    '',
  ];
}
