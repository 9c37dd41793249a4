import type { MeasuredPrediction } from './measure.ts';

const FIGURES = [
  ['device_seconds', 'device time', 1],
  ['ttr_p50_ms', 'median TTR', 1000],
  ['ttr_p90_ms', 'TTR p90', 1000],
  ['makespan_ms', 'end', 1000],
] as const;

/** Writes predicted and actual figures in seconds as a table, with one row for each figure of a rollout. */
export function toMarkdown(measured: readonly MeasuredPrediction[]): string {
  const rows = measured.flatMap(({ rollout, basis, figures }) =>
    FIGURES.map(([name, title, unit], index) => {
      const { predicted, low, high, actual, ratio } = figures[name];
      const seconds = (value: number | null): string => (value === null ? '–' : `${(value / unit).toFixed(1)} s`);
      const range = low === null || high === null ? '–' : `${seconds(low)} to ${seconds(high)}`;
      const head = index === 0 ? [rollout, basis.map(({ text }) => text).join('; ')] : ['', ''];
      return [...head, title, seconds(predicted), range, seconds(actual), ratio === null ? '–' : ratio.toFixed(2)];
    }),
  );
  const head = ['rollout', 'predicted', 'figure', 'expected', 'low to high', 'actual', 'actual / expected'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
