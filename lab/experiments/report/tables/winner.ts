import type { CellRecord } from '../../records.ts';
import { compareQuality, groupBy } from '../comparisons/compare.ts';
import { pointsBetter } from '../comparisons/written-intervals.ts';
import type { PairedInterval } from '../comparisons/paired-interval.ts';
import { marked, seconds, table } from '../format.ts';
import { withCopies, type Evidence } from '../hypotheses/evidence.ts';
import { durationOf, medianTime } from '../readiness.ts';
import { mean } from '../statistics.ts';

/** Setting of a sweep, with its results. */
export interface SweptSetting {
  readonly strategy: string;
  readonly jobs: number;
  readonly ready: number;
  /**
   * Mean of the final test values, each task counting the same. A job that failed or ended without a candidate has the
   * value of the copy, or for training from scratch that of the new base without an adapter.
   */
  readonly value: number;
  readonly withoutCandidate: number;
  /** Milliseconds by which half of the jobs were ready, or null if fewer were. */
  readonly medianMs: number | null;
  readonly isWinner: boolean;
  /** Setting minus winner on the same test rows. Null for the winner itself. */
  readonly againstWinner: PairedInterval | null;
}

/** Distance from the largest mean within which settings count as equally good, so that the time decides. */
const NEAR = 0.003;

/** Settings of a sweep on the jobs with one number of training rows, or on all jobs. */
export interface SweptSize {
  /** Number of training rows, or null for all jobs. */
  readonly rows: number | null;
  readonly settings: readonly SweptSetting[];
}

/** Computes the settings on all jobs, and on each number of training rows if there are several. */
export function sweptSizes(evidence: Evidence): SweptSize[] {
  const sizes = [...new Set(evidence.cells.map(({ rows }) => rows))].sort((a, b) => a - b);
  const ofSize = (rows: number): SweptSize => {
    return {
      rows,
      settings: sweptSettings({ ...evidence, cells: evidence.cells.filter((cell) => cell.rows === rows) }),
    };
  };
  return [{ rows: null, settings: sweptSettings(evidence) }, ...(sizes.length > 1 ? sizes.map(ofSize) : [])];
}

/**
 * Chooses the winner of a sweep. Among the settings within 0.3 points of the largest mean of final test values, it is
 * the one with the shortest time by which half of its jobs were ready, then the largest share of ready jobs, then the
 * largest mean.
 * @returns the settings in the order of the experiment
 */
export function sweptSettings(evidence: Evidence): SweptSetting[] {
  const cells = withCopies({ ...evidence, cells: withoutAdapters(evidence) });
  const settings = evidence.experiment.strategies.flatMap(({ name }) => {
    const own = cells.filter((cell) => cell.strategy === name && cell.final !== null);
    return own.length === 0 ? [] : [settingOf(name, own, evidence)];
  });
  const largest = Math.max(...settings.map(({ value }) => value));
  // A setting at exactly that distance is near, however the means are rounded.
  const near = settings.filter(({ value }) => value >= largest - NEAR - 1e-9);
  const [winner] = near.toSorted(
    (a, b) => timeOf(a) - timeOf(b) || b.ready / b.jobs - a.ready / a.jobs || b.value - a.value,
  );
  return settings.map((one) => ({
    ...one,
    isWinner: one === winner,
    againstWinner: one === winner || !winner ? null : compareQuality(cells, one.strategy, winner.strategy).quality,
  }));
}

/** Gives jobs from scratch that failed or have no candidate the score of the new base without an adapter. */
function withoutAdapters({ experiment, cells, none }: Evidence): CellRecord[] {
  const fresh = new Set(experiment.strategies.filter(isScratch).map(({ name }) => name));
  return cells.map((cell) => {
    const hasNothing = cell.final === null || cell.error !== undefined;
    return hasNothing && fresh.has(cell.strategy) ? { ...cell, final: none(cell) } : cell;
  });
}

function isScratch({ options }: Evidence['experiment']['strategies'][number]): boolean {
  return options.strategy === 'scratch';
}

/** Median time as a finite number, so that two settings without a median do not differ by NaN. */
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

const HEADER = [
  ...['rows', 'setting', 'jobs', 'ready', 'half ready after, s'],
  ...['mean, %', 'without a candidate', 'points against the winner (95 %)'],
];

export function winnerSection(sizes: readonly SweptSize[], experiment: string): string[] {
  const lines = sizes.flatMap(({ rows, settings }) => settings.map((one) => toRow(one, rows)));
  if (lines.length === 0) return [];
  return [
    '## Winner of the sweep',
    '',
    'The largest mean of final test values; among those within 0.3 points of it, the one whose jobs were ready',
    'soonest. Where a job failed or ended without a candidate, the unchanged copy stands for it, and for',
    'training from scratch the new base without an adapter.',
    '',
    ...marked({ of: experiment, name: 'winner' }, table(HEADER, lines)),
    '',
  ];
}

function toRow(one: SweptSetting, rows: number | null): string[] {
  return [
    rows === null ? 'all' : String(rows),
    one.isWinner ? `**${one.strategy}**` : one.strategy,
    String(one.jobs),
    String(one.ready),
    seconds(one.medianMs),
    (100 * one.value).toFixed(1),
    String(one.withoutCandidate),
    one.isWinner ? '**winner**' : pointsBetter(one.againstWinner),
  ];
}
