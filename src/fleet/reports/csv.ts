import type { Figures, Group, RolloutReport, TtrReport } from './report.schemas.ts';

type Cell = string | number | null;

const COLUMNS = [
  ...['part', 'id', 'name', 'jobs', 'ready', 'unfinished', 'not_ready', 'failed', 'cancelled'],
  ...['p50_ms', 'p90_ms', 'max_ms', 'p50_without_held_ms', 'p90_without_held_ms', 'max_without_held_ms'],
  ...['share', 'device_seconds', 'speedup_pairs', 'speedup_median', 'speedup_mean', 'speedup_low', 'speedup_high'],
] as const;
type Row = Partial<Record<(typeof COLUMNS)[number], Cell>>;

export function rolloutCsv(report: RolloutReport): string {
  const { rollout_id: id, tenants, strategies } = report;
  return toCsv([
    totalRow('rollout', id, report),
    ...tenants.map((group) => groupRow('tenant', group)),
    ...strategies.map((group) => groupRow('strategy', group)),
    ...phaseRows(report),
  ]);
}

export function ttrCsv(report: TtrReport): string {
  const { groups, group_by: by } = report;
  return toCsv([totalRow('total', null, report), ...groups.map((group) => groupRow(by, group)), ...phaseRows(report)]);
}

function totalRow(part: string, id: string | null, { total, speedup }: Figures): Row {
  const { pairs, median, mean, low, high } = speedup;
  return {
    ...figureCells(part, id, total),
    speedup_pairs: pairs,
    speedup_median: median,
    speedup_mean: mean,
    speedup_low: low,
    speedup_high: high,
  };
}

function groupRow(part: string, group: Group): Row {
  return { ...figureCells(part, group.id, group), name: group.name };
}

function figureCells(part: string, id: string | null, figures: Figures['total']): Row {
  const { jobs, ready, censored, ttr, ttr_without_held: unheld, device_seconds: seconds } = figures;
  return {
    part,
    id,
    jobs,
    ready,
    ...censored,
    ...ttr,
    p50_without_held_ms: unheld.p50_ms,
    p90_without_held_ms: unheld.p90_ms,
    max_without_held_ms: unheld.max_ms,
    device_seconds: seconds,
  };
}

function phaseRows({ phases }: Figures): Row[] {
  return phases.map(({ phase, ...times }) => ({ part: 'phase', id: phase, ...times }));
}

/** Formats rows of a report as CSV by RFC 4180, with a header line first. */
function toCsv(rows: readonly Row[]): string {
  const lines = [COLUMNS.join(','), ...rows.map((row) => COLUMNS.map((column) => cell(row[column] ?? null)).join(','))];
  return lines.map((line) => `${line}\r\n`).join('');
}

/**
 * Formats one cell of a CSV row. Spreadsheets evaluate a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage
 * return as a formula, so such a text gets an apostrophe in front, which marks it as text.
 */
export function cell(value: Cell): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
