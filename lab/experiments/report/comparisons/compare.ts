import { writtenName } from '../../plan/tenant-spec.ts';
import type { CellRecord, TestScore } from '../../records.ts';
import { durationOf } from '../readiness.ts';
import { mean } from '../statistics.ts';
import { pairedInterval, type PairedInterval, type TaskDifferences } from './paired-interval.ts';
import { ratioInterval, type RatioInterval } from './ratio-interval.ts';

/** Comparison of a strategy with another one on the same tenants, evolutions, rows and draws. */
export interface Comparison {
  readonly strategy: string;
  readonly other: string;
  /** Number of training rows of the jobs, or null for all together. */
  readonly rows: number | null;
  readonly pairs: number;
  /**
   * Number of jobs without a counterpart, and of pairs in which one ended without a candidate. No difference has them.
   */
  readonly unpaired: number;
  /** Number of pairs in which one ended without a candidate. */
  readonly withoutCandidate: number;
  /** Strategy minus other on test rows, positive if the strategy is better. Null if no rows can be compared. */
  readonly quality: PairedInterval | null;
  readonly time: RatioInterval | null;
}

/** Job with its counterpart by the other strategy. */
interface Pair {
  readonly job: CellRecord;
  readonly other: CellRecord;
}

/** Job with a number for each test row of its task. */
export interface RowValues {
  readonly job: CellRecord;
  readonly values: readonly number[];
}

/**
 * Compares two strategies, for all numbers of training rows together and for each of them.
 * @param cells jobs, none of them in the state `failed`
 */
export function compareStrategies(cells: readonly CellRecord[], strategy: string, other: string): Comparison[] {
  const sizes = [...new Set(pairsOf(cells, strategy, other).map(({ job }) => job.rows))].sort((a, b) => a - b);
  const all = compareTogether(cells, strategy, other);
  if (sizes.length < 2) return [all];
  const ofSize = (rows: number): Comparison => ({
    ...compareTogether(
      cells.filter((cell) => cell.rows === rows),
      strategy,
      other,
    ),
    rows,
  });
  return [all, ...sizes.map(ofSize)];
}

/** Compares two strategies on all of their jobs together. */
export function compareTogether(cells: readonly CellRecord[], strategy: string, other: string): Comparison {
  const times = groupBy(pairsOf(cells, strategy, other), ({ job }) => writtenName(job)).map((some) =>
    some.map((pair) => ({ strategy: durationOf(pair.job), baseline: durationOf(pair.other) })),
  );
  return { ...compareQuality(cells, strategy, other), time: ratioInterval(times) };
}

/** Compares the final versions alone. */
export function compareQuality(
  cells: readonly CellRecord[],
  strategy: string,
  other: string,
): Omit<Comparison, 'time'> {
  const pairs = pairsOf(cells, strategy, other);
  const scored = pairs.flatMap(({ job, other: against }): RowValues[] => {
    const values = differencesOf(job.final, against.final);
    return values === null ? [] : [{ job, values }];
  });
  const alone = cells.filter((cell) => cell.strategy === strategy).length - pairs.length;
  return {
    ...{ strategy, other, rows: null, pairs: pairs.length },
    unpaired: alone + pairs.length - scored.length,
    withoutCandidate: pairs.filter(({ job, other: against }) => !job.final || !against.final).length,
    quality: clusteredInterval(scored),
  };
}

function pairsOf(cells: readonly CellRecord[], strategy: string, other: string): Pair[] {
  const others = new Map(cells.filter((cell) => cell.strategy === other).map((cell) => [placeOf(cell), cell]));
  return cells.flatMap((job): Pair[] => {
    const found = job.strategy === strategy ? others.get(placeOf(job)) : undefined;
    return found ? [{ job, other: found }] : [];
  });
}

/**
 * Computes the mean over tasks with its interval. For each test row, a tenant has the mean over its jobs: evolutions,
 * numbers of rows and draws.
 * @returns null without any job
 */
export function clusteredInterval(list: readonly RowValues[]): PairedInterval | null {
  const tasks = groupBy(list, ({ job }) => job.task).map((some): TaskDifferences => {
    return groupBy(some, ({ job }) => writtenName(job)).map((jobs) =>
      jobs[0]!.values.map((_, row) => mean(jobs.map(({ values }) => values[row]!))),
    );
  });
  return tasks.length === 0 ? null : pairedInterval(tasks);
}

/** Differences of two versions row by row. Null if one is missing or the metric has no values of rows. */
export function differencesOf(now: TestScore | null, before: TestScore | null): number[] | null {
  const [values, others] = [scoresOf(now), scoresOf(before)];
  return values && others ? values.map((value, row) => value - others[row]!) : null;
}

/** Metric of each test row. Null without a version, or for a loss. */
export function scoresOf(score: TestScore | null): readonly number[] | null {
  return score?.scores ?? (score?.right ? [...score.right].map(Number) : null);
}

/** Identifies a job among those of its strategy. */
export function placeOf({ evolution, task, adapter, seed, rows, draw }: CellRecord): string {
  return [evolution, task, adapter, seed, rows, draw].join(' ');
}

export function groupBy<T>(list: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return [...groups.values()];
}
