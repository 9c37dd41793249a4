import { marked, table } from '../format.ts';
import type { Summary } from '../summary.ts';
import type { Comparison } from './compare.ts';
import { pointsBetter, READY, readyCounts, timesSooner } from './written-intervals.ts';

/** Writes the comparisons with their intervals. Empty if there are none. */
export function comparisonSection({ comparisons }: Pick<Summary, 'comparisons'>, experiment: string): string[] {
  if (comparisons.length === 0) return [];
  const header = ['strategy', 'against', 'rows', 'pairs', 'difference, points (95 %)', 'times sooner (95 %)', READY];
  return [
    '## Comparisons',
    '',
    ...LEGEND,
    '',
    ...marked({ of: experiment, name: 'comparisons' }, table(header, comparisons.map(toRow))),
    '',
  ];
}

const LEGEND = [
  'The *difference* on test rows is paired row by row and the mean over the tasks. Its interval is clustered by',
  'tenants and by test rows and has as many degrees of freedom as the tenants allow; it is about these tasks',
  "alone. *Times sooner* is the median over pairs of the other's time to readiness divided by the strategy's: a",
  'job that was not ready counts as 0, and where the other was not ready, its budget stands for its time (≥).',
  'Its interval draws whole tenants (bootstrap, 4,000 samples). Pairs of which one ended without a candidate',
  'have no difference; their number is in brackets.',
];

function toRow({ strategy, other, rows, pairs, unpaired, quality, time }: Comparison): string[] {
  return [
    strategy,
    other,
    rows === null ? 'all' : String(rows),
    unpaired === 0 ? String(pairs) : `${pairs} (${unpaired})`,
    pointsBetter(quality),
    timesSooner(time),
    readyCounts(time),
  ];
}
