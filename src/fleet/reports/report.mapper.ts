import { geometricMeanInterval } from '../../../core/statistics/geometric-mean.ts';
import type { DeviceRow, Grouping, PhaseRow, SpeedupRow, GroupTimesRow } from './report.repository.ts';
import type { Figures, Group, GroupBy } from './report.schemas.ts';

/** Confidence level of the interval around the mean speed-up. */
const CONFIDENCE = 0.95;
/**
 * Rows of the database from which a report is made: times and device times by group. The groups with the most jobs come
 * first.
 */
export interface Found {
  readonly times: readonly GroupTimesRow[];
  readonly uses: readonly DeviceRow[];
}

/**
 * Builds the groups of a report for one grouping key, such as the tenant. `leftOut` is the number of groups that are
 * not listed, because there are too many.
 */
export function groupsOf({ times, uses }: Found, by: GroupBy): { groups: Group[]; leftOut: number } {
  const seconds = secondsOf(uses, by);
  const own = times.filter((row) => row.by === by);
  const groups = own.map((row) => ({ id: row.id, name: null, ...figuresOf(row, seconds.get(row.id)) }));
  return { groups, leftOut: (own[0]?.groups ?? 0) - own.length };
}

/** Builds the figures of a report over all of its jobs. */
export function totalOf({ times, uses }: Found): Figures['total'] {
  const row = times.find(({ by }) => by === 'total');
  return figuresOf(row ?? NO_JOBS, secondsOf(uses, 'total').get(null));
}

function secondsOf(uses: readonly DeviceRow[], by: Grouping): Map<string | null, number> {
  return new Map(uses.filter((use) => use.by === by).map(({ id, seconds }) => [id, seconds]));
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

function figuresOf(row: Omit<GroupTimesRow, 'by' | 'id' | 'groups'>, seconds = 0): Figures['total'] {
  const { jobs, ready, unfinished, not_ready, failed, cancelled } = row;
  return {
    jobs,
    ready,
    censored: { unfinished, not_ready, failed, cancelled },
    ttr: { p50_ms: row.p50_ms, p90_ms: row.p90_ms, max_ms: row.max_ms },
    ttr_without_held: { p50_ms: row.unheld_p50_ms, p90_ms: row.unheld_p90_ms, max_ms: row.unheld_max_ms },
    device_seconds: seconds,
  };
}

const NO_JOBS = {
  ...{ jobs: 0, ready: 0, unfinished: 0, not_ready: 0, failed: 0, cancelled: 0 },
  ...{ p50_ms: null, p90_ms: null, max_ms: null, unheld_p50_ms: null, unheld_p90_ms: null, unheld_max_ms: null },
};
