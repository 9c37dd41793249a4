import { geometricMeanInterval } from '../../../core/statistics/geometric-mean.ts';
import { kaplanMeierQuantiles, type CensoredTimes } from '../../../core/statistics/kaplan-meier.ts';
import type { DeviceRow, PhaseRow, SpeedupRow, TimesRow } from './report.repository.ts';
import type { Figures, Group, GroupBy } from './report.schemas.ts';

/** Confidence of the interval of a speed-up. */
const CONFIDENCE = 0.95;
/** Largest number of groups that a report lists. */
const MOST_GROUPS = 1000;

/** What is known of the jobs of a report, by the same keys. */
export interface Found {
  readonly times: readonly TimesRow[];
  readonly uses: readonly DeviceRow[];
}

/** The groups with the most jobs, and how many there are besides. */
export function groupsOf({ times, uses }: Found, by: GroupBy): { groups: Group[]; leftOut: number } {
  const seconds = grouped(uses, by);
  const groups = [...grouped(times, by)].map(([id, own]) => {
    return { id, name: null, ...figuresOf({ times: own, uses: seconds.get(id) ?? [] }) };
  });
  groups.sort((a, b) => b.jobs - a.jobs || (a.id ?? '').localeCompare(b.id ?? ''));
  return { groups: groups.slice(0, MOST_GROUPS), leftOut: Math.max(0, groups.length - MOST_GROUPS) };
}

function grouped<Row extends Pick<TimesRow, GroupBy>>(rows: readonly Row[], by: GroupBy): Map<string | null, Row[]> {
  const groups = new Map<string | null, Row[]>();
  for (const row of rows) {
    const own = groups.get(row[by]);
    if (own === undefined) groups.set(row[by], [row]);
    else own.push(row);
  }
  return groups;
}

export function phasesOf(rows: readonly PhaseRow[]): Figures['phases'] {
  const whole = rows.reduce((sum, row) => sum + (row.sum ?? 0), 0);
  return rows.map(({ phase, p50, p90, max, sum }) => {
    return { phase, p50_ms: p50, p90_ms: p90, max_ms: max, share: whole > 0 ? (sum ?? 0) / whole : null };
  });
}

export function speedupOf({ pairs, median, log_mean: mean, log_deviation: deviation }: SpeedupRow): Figures['speedup'] {
  const interval =
    mean === null || deviation === null ? null : geometricMeanInterval({ count: pairs, mean, deviation }, CONFIDENCE);
  return {
    pairs,
    median,
    mean: mean === null ? null : Math.exp(mean),
    low: interval?.low ?? null,
    high: interval?.high ?? null,
  };
}

export function figuresOf({ times: rows, uses }: Found): Figures['total'] {
  const sum = (name: 'unfinished' | 'not_ready' | 'failed' | 'cancelled') =>
    rows.reduce((total, row) => total + row[name], 0);
  const censored = {
    unfinished: sum('unfinished'),
    not_ready: sum('not_ready'),
    failed: sum('failed'),
    cancelled: sum('cancelled'),
  };
  const events = timesOf(rows, 'ready_ms');
  return {
    jobs: events.length + Object.values(censored).reduce((total, count) => total + count, 0),
    ready: events.length,
    censored,
    ttr: quantilesOf({ events, censored: timesOf(rows, 'censored_ms') }),
    ttr_without_held: quantilesOf({
      events: timesOf(rows, 'ready_unheld_ms'),
      censored: timesOf(rows, 'censored_unheld_ms'),
    }),
    device_seconds: uses.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

function quantilesOf(times: CensoredTimes): Figures['total']['ttr'] {
  const [p50 = null, p90 = null] = kaplanMeierQuantiles(times, [0.5, 0.9]);
  const { events } = times;
  const max = Array.from(events).reduce<number | null>((most, time) => Math.max(most ?? time, time), null);
  return { p50_ms: p50, p90_ms: p90, max_ms: max };
}

function timesOf(
  rows: readonly TimesRow[],
  name: 'ready_ms' | 'ready_unheld_ms' | 'censored_ms' | 'censored_unheld_ms',
): number[] {
  return rows.flatMap((row) => row[name]?.split(',').map(Number) ?? []);
}
