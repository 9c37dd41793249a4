import { ratio, table } from '../report/format.ts';
import type { ReplayedStrategy } from './replay.ts';

/** Writes a table with a line for each change and strategy. */
export function toMarkdown(replayed: readonly ReplayedStrategy[]): string {
  const baseline = replayed.find(({ sooner }) => sooner === null)!.strategy;
  const header = [
    'changes',
    'strategy',
    'ready',
    'at the first look',
    'rows of a look',
    'looks, s',
    'job, s',
    `times sooner than \`${baseline}\``,
  ];
  const lines = replayed.map(
    ({ changes, strategy, jobs, ready, readyAtFirst, rows, lookSeconds, jobSeconds, sooner }) => [
      changes,
      `\`${strategy}\``,
      `${Number(ready.toFixed(1))} of ${jobs}`,
      `${Number(readyAtFirst.toFixed(1))}`,
      rows.toFixed(0),
      lookSeconds.toFixed(0),
      jobSeconds.toFixed(0),
      ratio(sooner),
    ],
  );
  return table(header, lines).join('\n');
}
