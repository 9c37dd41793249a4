import { milliseconds, quantile, table } from '../report.ts';
import type { ReportsFigures } from './reports.ts';
import type { WavesFigures } from './waves.ts';

/** Writes the tables on the ends of jobs and on reports. */
export function endedTables(found: { waves: readonly WavesFigures[]; reports: readonly ReportsFigures[] }): string[] {
  return [
    ...(found.waves.length === 0 ? [] : [wavesTable(found.waves)]),
    ...(found.reports.length === 0 ? [] : [reportsTable(found.reports)]),
  ];
}

const spread = (times: readonly number[]): string[] => [0.5, 1].map((share) => milliseconds(quantile(times, share)));

function wavesTable(figures: readonly WavesFigures[]): string {
  return table(
    ['adapters in one wave with `pause_if`', 'end of a job, median', 'slowest'],
    figures.map(({ adapters, endMs }) => [adapters.toLocaleString('en'), ...spread(endMs)]),
  );
}

function reportsTable(figures: readonly ReportsFigures[]): string {
  return table(
    ['adapters', 'report', 'median', 'slowest', 'event loop held for, median', 'longest'],
    figures.flatMap(({ adapters, times, stalls }) =>
      Object.entries(times).map(([path, took]) => [
        adapters.toLocaleString('en'),
        `GET ${path}`,
        ...spread(took),
        ...spread(stalls[path] ?? []),
      ]),
    ),
  );
}
