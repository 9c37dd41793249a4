import { mean, meanInterval } from '../report/statistics.ts';
import type { FixedStepsRecord } from './measure.ts';

/** A table for each number of rows, with paired differences to training on the completions. */
export function toMarkdown(records: readonly FixedStepsRecord[]): string {
  return [...new Set(records.map(({ rows }) => rows))]
    .map((rows) => tableOf(records.filter((record) => record.rows === rows)))
    .join('\n\n');
}

/** The trainings by what they start from and learn. */
function tableOf(records: readonly FixedStepsRecord[]): string {
  const { rows } = records[0]!;
  const starts = [...new Set(records.map(({ start }) => start))];
  const learned = [...new Set(records.map(({ targets }) => targets))];
  const lines = starts.flatMap((start) => {
    return learned.flatMap((targets) => {
      const own = records.filter((each) => each.start === start && each.targets === targets);
      return own.length > 0 ? [line(own, records)] : [];
    });
  });
  const tenants = new Map(records.map((record) => [`${record.task} ${record.seed}`, record.oldRight]));
  const learnedFrom = rows === undefined ? '' : ` with ${rows} rows`;
  return [
    `${tenants.size} tenants${learnedFrom}; the old version on the old base has ${percent([...tenants.values()])} % right.`,
    '',
    '| start | learns | right, % | negative flips, % | right, against completions | flips, against completions |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function line(own: readonly FixedStepsRecord[], all: readonly FixedStepsRecord[]): string {
  const { start, targets } = own[0]!;
  const flips = own.flatMap((record) => record.flips ?? []);
  const cells = [start, targets ?? 'nothing', percent(own.map(({ right }) => right)), percent(flips)];
  const differs = (what: 'right' | 'flips') =>
    targets === 'completions' ? '–' : interval(differences(own, all, what));
  return `| ${[...cells, differs('right'), differs('flips')].join(' | ')} |`;
}

/** In points, of the same tenant and start. */
function differences(
  own: readonly FixedStepsRecord[],
  all: readonly FixedStepsRecord[],
  what: 'right' | 'flips',
): number[] {
  return own.flatMap((record) => {
    const other = all.find(({ task, seed, start, targets }) => {
      return task === record.task && seed === record.seed && start === record.start && targets === 'completions';
    });
    const [value, reference] = [record[what], other?.[what] ?? null];
    return value === null || reference === null ? [] : [100 * (value - reference)];
  });
}

/** The mean and its interval over tenants; the mean alone for a single one. */
function interval(values: readonly number[]): string {
  const { mean: center, low, high } = meanInterval(values);
  return values.length === 1 ? signed(center) : `${signed(center)} (${signed(low)} to ${signed(high)})`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
}

function percent(shares: readonly number[]): string {
  return (100 * mean(shares)).toFixed(1);
}
