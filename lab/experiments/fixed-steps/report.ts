import { mean, meanInterval } from '../report/statistics.ts';
import type { FixedStepsRecord } from './measure.ts';

/**
 * Writes a table for each number of rows and one for all, with paired differences from training on the completions.
 */
export function toMarkdown(records: readonly FixedStepsRecord[]): string {
  const sizes = [...new Set(records.map(({ rows }) => rows))];
  const tables = sizes.map((rows) => {
    const own = records.filter((record) => record.rows === rows);
    return tableOf(own, rows === undefined ? 'tenants' : `tenants with ${rows} rows`);
  });
  if (sizes.length > 1)
    tables.push(tableOf(meansOver(sizes.length, records), 'tenants, with the mean over numbers of rows'));
  return tables.join('\n\n');
}

/** Averages each adapter over all numbers of rows. It leaves out adapters that were not trained with each of them. */
function meansOver(sizes: number, records: readonly FixedStepsRecord[]): FixedStepsRecord[] {
  const groups = new Map<string, FixedStepsRecord[]>();
  for (const record of records) {
    const { task, seed, start, targets } = record;
    const key = JSON.stringify([task, seed, start, targets]);
    groups.set(key, [...(groups.get(key) ?? []), record]);
  }
  return [...groups.values()]
    .filter((group) => group.length === sizes)
    .map((group) => ({
      ...group[0]!,
      right: mean(group.map(({ right }) => right)),
      flips: group[0]!.flips === null ? null : mean(group.map(({ flips }) => flips!)),
    }));
}

/** Writes a table of starts and targets. If the old version is right on all rows, being right is agreement with it. */
function tableOf(records: readonly FixedStepsRecord[], whose: string): string {
  const starts = [...new Set(records.map(({ start }) => start))];
  const learned = [...new Set(records.map(({ targets }) => targets))];
  const old = new Map(records.map((record) => [`${record.task} ${record.seed}`, record.oldRight]));
  const isAgreement = [...old.values()].every((right) => right === 1);
  const lines = starts.flatMap((start) => {
    return learned.flatMap((targets) => {
      const own = records.filter((each) => each.start === start && each.targets === targets);
      return own.length > 0 ? [line(own, records, isAgreement)] : [];
    });
  });
  const head = isAgreement
    ? ['start', 'learns', 'agrees, %', 'against completions']
    : ['start', 'learns', 'right, %', 'negative flips, %', 'right, against completions', 'flips, against completions'];
  const what = isAgreement
    ? 'agreement with the old version'
    : `the old version has ${percent([...old.values()])} % right`;
  return [
    `${old.size} ${whose}; ${what}.`,
    '',
    `| ${head.join(' | ')} |`,
    `|${' --- |'.repeat(head.length)}`,
    ...lines,
  ].join('\n');
}

function line(own: readonly FixedStepsRecord[], all: readonly FixedStepsRecord[], isAgreement: boolean): string {
  const { start, targets } = own[0]!;
  const differs = (what: 'right' | 'flips') =>
    targets === 'completions' ? '–' : interval(differences(own, all, what));
  const right = percent(own.map((record) => record.right));
  const flips = percent(own.flatMap((record) => record.flips ?? []));
  const cells = isAgreement ? [right, differs('right')] : [right, flips, differs('right'), differs('flips')];
  return `| ${[start, targets ?? 'nothing', ...cells].join(' | ')} |`;
}

/** Computes differences from training on completions in points, paired by tenant and start. */
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

/** Writes the mean with its interval over tenants, or the mean alone for a single tenant. */
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
