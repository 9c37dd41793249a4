import type { CellRecord } from '../../records.ts';
import { compareTogether } from '../comparisons/compare.ts';
import { READY, readyCounts, timesSooner } from '../comparisons/written-intervals.ts';
import type { RatioInterval } from '../comparisons/ratio-interval.ts';
import { seconds, table } from '../format.ts';
import { withoutLooks } from '../hypotheses/evidence.ts';
import { durationOf, medianOfEnds, medianTime } from '../readiness.ts';

/** Time, or a lower bound of it. */
interface Time {
  readonly ms: number;
  readonly bound: boolean;
}

/** Times to readiness of the jobs of one strategy. */
export interface StrategyTimes {
  readonly strategy: string;
  readonly jobs: number;
  readonly ready: number;
  /** Time by which half of the jobs were ready. If fewer were, a lower bound. */
  readonly median: Time;
  /** Median without the time of looks at gate rows. */
  readonly withoutLooks: Time;
  /** Shortest and longest milliseconds of jobs that ended without being ready. Null if all were ready. */
  readonly notReady: readonly [number, number] | null;
  readonly against: readonly {
    readonly other: string;
    readonly time: RatioInterval | null;
    readonly withoutLooks: RatioInterval | null;
  }[];
}

/**
 * Computes times to readiness with and without looks, of each strategy with jobs.
 * @param cells jobs that did not fail
 */
export function strategyTimes(
  cells: readonly CellRecord[],
  { strategies, baselines }: { readonly strategies: readonly string[]; readonly baselines: readonly string[] },
): StrategyTimes[] {
  const bare = withoutLooks(cells);
  return strategies.flatMap((strategy): StrategyTimes[] => {
    const own = cells.filter((cell) => cell.strategy === strategy);
    if (own.length === 0) return [];
    const vain = own.filter(({ state }) => state !== 'ready').map(({ elapsedMs }) => elapsedMs);
    const others = baselines.filter((name) => name !== strategy);
    return [
      {
        ...{ strategy, jobs: own.length, ready: own.length - vain.length },
        median: medianOf(own),
        withoutLooks: medianOf(bare.filter((cell) => cell.strategy === strategy)),
        notReady: vain.length === 0 ? null : [Math.min(...vain), Math.max(...vain)],
        against: others.map((other) => ({
          other,
          time: compareTogether(cells, strategy, other).time,
          withoutLooks: compareTogether(bare, strategy, other).time,
        })),
      },
    ];
  });
}

function medianOf(cells: readonly CellRecord[]): Time {
  const durations = cells.map(durationOf);
  const median = medianTime(durations);
  return median === null ? { ms: medianOfEnds(durations)!, bound: true } : { ms: median, bound: false };
}

/** Writes the section on times. Empty without jobs. */
export function timesSection(times: readonly StrategyTimes[]): string[] {
  if (times.length === 0) return [];
  const others = [...new Set(times.flatMap(({ against }) => against.map(({ other }) => other)))];
  const header = others.flatMap((other) => [`times sooner than ${other} (95 %)`, '… without looks', READY]);
  return [
    '## Times with and without looks',
    '',
    'The time by which half of the jobs were ready, with and without the looks at gate rows (the phase',
    '`evaluate`), in seconds. Where fewer than half were ready, half of them took at least as long as is shown',
    '(≥). No job is left out: those that were not ready ended after the times in the column *not ready*, and',
    'would have taken at least as long.',
    '',
    ...table(
      ['strategy', 'jobs', 'ready', 'time', 'without looks', 'not ready', ...header],
      times.map((one) => [
        one.strategy,
        String(one.jobs),
        String(one.ready),
        timeText(one.median),
        timeText(one.withoutLooks),
        notReadyText(one),
        ...others.flatMap((name) => ratioCells(one.against.find(({ other }) => other === name))),
      ]),
    ),
    '',
  ];
}

function ratioCells(against: StrategyTimes['against'][number] | undefined): string[] {
  if (against === undefined) return ['', '', ''];
  return [timesSooner(against.time), timesSooner(against.withoutLooks), readyCounts(against.time)];
}

/** Writes `12.3`, or `≥ 96.0`. */
export function timeText({ ms, bound }: Time): string {
  return `${bound ? '≥ ' : ''}${seconds(ms)}`;
}

function notReadyText({ jobs, ready, notReady }: StrategyTimes): string {
  if (notReady === null) return '0';
  const times = [...new Set(notReady.map((ms) => `≥ ${seconds(ms)}`))];
  return `${jobs - ready} (${times.join(' to ')})`;
}
