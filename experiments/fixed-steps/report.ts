import { mean, meanInterval } from '../report/statistics.ts';
import type { FixedStepsRecord } from './measure.ts';

/** A table of the trainings by what they start from and learn, with paired differences to training on the completions. */
export function toMarkdown(records: readonly FixedStepsRecord[]): string {
  const starts = [...new Set(records.map(({ start }) => start))];
  const learned = [...new Set(records.map(({ targets }) => targets))];
  const lines = starts.flatMap((start) => {
    return learned.map((targets) =>
      line(
        records.filter((each) => each.start === start && each.targets === targets),
        records,
      ),
    );
  });
  const tenants = new Set(records.map(({ task, seed }) => `${task} ${seed}`)).size;
  return [
    `${tenants} tenants; the old version on the old base has ${percent(records.map(({ oldRight }) => oldRight))} % right.`,
    '',
    '| start | learns | right, % | negative flips, % | right, against completions | flips, against completions |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

function line(own: readonly FixedStepsRecord[], all: readonly FixedStepsRecord[]): string {
  const { start, targets } = own[0]!;
  const cells = [
    start,
    targets ?? 'nothing',
    percent(own.map(({ right }) => right)),
    percent(own.map(({ flips }) => flips)),
  ];
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
    return other ? [100 * (record[what] - other[what])] : [];
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
