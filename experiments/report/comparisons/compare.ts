import type { CellRecord, TestScore } from '../../records.ts';
import type { Duration } from '../readiness.ts';
import { mean } from '../statistics.ts';
import { pairedInterval, type PairedInterval, type TaskDifferences } from './paired-interval.ts';
import { ratioInterval, type RatioInterval } from './ratio-interval.ts';

/** What a strategy achieves against another one on the same tenants, evolutions, rows and draws. */
export interface Comparison {
  readonly strategy: string;
  readonly other: string;
  /** Number of training rows of the jobs; null for all together. */
  readonly rows: number | null;
  readonly pairs: number;
  /** Jobs without a counterpart, and pairs of which one ended without any candidate. They are counted and in no difference. */
  readonly unpaired: number;
  /** Strategy minus other on test rows, positive if the strategy is better; null where no rows can be compared. */
  readonly quality: PairedInterval | null;
  readonly time: RatioInterval | null;
}

/** A job with its counterpart by the other strategy. */
interface Pair {
  readonly job: CellRecord;
  readonly other: CellRecord;
}

/**
 * Compares two strategies, all numbers of training rows together and each by itself.
 * @param cells jobs that did not fail
 */
export function compareStrategies(cells: readonly CellRecord[], strategy: string, other: string): Comparison[] {
  const own = cells.filter((cell) => cell.strategy === strategy);
  const others = new Map(cells.filter((cell) => cell.strategy === other).map((cell) => [placeOf(cell), cell]));
  const pairs = own.flatMap((job): Pair[] => {
    const found = others.get(placeOf(job));
    return found ? [{ job, other: found }] : [];
  });
  const sizes = [...new Set(pairs.map(({ job }) => job.rows))].sort((a, b) => a - b);
  const of = (rows: number | null): Comparison => {
    const some = pairs.filter(({ job }) => rows === null || job.rows === rows);
    const alone = own.filter((job) => rows === null || job.rows === rows).length - some.length;
    return compare(some, { strategy, other, rows, alone });
  };
  return [null, ...(sizes.length > 1 ? sizes : [])].map(of);
}

function compare(
  pairs: readonly Pair[],
  { strategy, other, rows, alone }: { strategy: string; other: string; rows: number | null; alone: number },
): Comparison {
  const scored = pairs.filter((pair) => differencesOf(pair) !== null);
  const tasks = groupBy(scored, ({ job }) => job.task).map((some) => taskDifferences(some));
  const times = groupBy(pairs, ({ job }) => `${job.task} ${job.adapter} ${job.seed}`).map((some) =>
    some.map((pair) => ({ strategy: durationOf(pair.job), baseline: durationOf(pair.other) })),
  );
  return {
    ...{ strategy, other, rows, pairs: pairs.length, unpaired: alone + pairs.length - scored.length },
    quality: tasks.length === 0 ? null : pairedInterval(tasks),
    time: ratioInterval(times),
  };
}

/** A tenant's differences, row by row: the mean over its evolutions, numbers of rows and draws. */
function taskDifferences(pairs: readonly Pair[]): TaskDifferences {
  return groupBy(pairs, ({ job }) => `${job.adapter} ${job.seed}`).map((some) => {
    const lists = some.map((pair) => differencesOf(pair)!);
    return lists[0]!.map((_, row) => mean(lists.map((list) => list[row]!)));
  });
}

function differencesOf({ job, other }: Pair): number[] | null {
  const [now, before] = [scoresOf(job.final), scoresOf(other.final)];
  return now && before ? now.map((value, row) => value - before[row]!) : null;
}

function scoresOf(score: TestScore | null): readonly number[] | null {
  return score?.scores ?? (score?.right ? [...score.right].map(Number) : null);
}

function durationOf({ state, readyMs, elapsedMs }: CellRecord): Duration {
  return state === 'ready' ? { ms: readyMs!, happened: true } : { ms: elapsedMs, happened: false };
}

function placeOf({ evolution, task, adapter, seed, rows, draw }: CellRecord): string {
  return [evolution, task, adapter, seed, rows, draw].join(' ');
}

function groupBy<T>(list: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return [...groups.values()];
}
