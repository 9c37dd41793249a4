import { pairedInterval, type TaskDifferences } from '../report/comparisons/paired-interval.ts';
import { table } from '../report/format.ts';
import { mean } from '../report/statistics.ts';
import { OLD_VERSION, type InitialRecord } from './records.ts';
import { STARTS } from './starts.ts';

/** A number for each test row, or one for all of them. */
type Measure = (record: InitialRecord, old: InitialRecord) => readonly number[];

const MEASURES = {
  /** The metric, in points. */
  value: ({ right, scores }) => (scores ?? [...(right ?? '')].map(Number)).map((score) => 100 * score),
  /** Rows that the old version had right and the start has wrong, in points; none where rows are neither right nor wrong. */
  flips: ({ right }, old) => [...(right ?? '')].map((now, row) => (old.right?.[row] === '1' && now === '0' ? 100 : 0)),
  /** In nats for a completion token. */
  loss: ({ loss }) => [loss],
} satisfies Record<string, Measure>;

const HEADER = [
  'start',
  'right, %',
  'flips, %',
  'loss, nats',
  'right, against revert',
  'right, against search',
  'flips, against revert',
  'loss, against revert',
];

/** Tables for each evolution, and for all of them together if there are several, and one of what the starts take. */
export function toMarkdown(records: readonly InitialRecord[]): string {
  const evolutions = [...new Set(records.map(({ evolution }) => evolution))];
  const groups = [...(evolutions.length > 1 ? [null] : []), ...evolutions];
  const sections = groups.flatMap((name) => [
    `## ${name ?? 'All evolutions'}`,
    '',
    ...results(records.filter(({ evolution }) => name === null || evolution === name)),
    '',
  ]);
  return [...sections, '## What they take', '', ...costs(records)].join('\n');
}

/** A table of what some starts do to each task, and how long they took. Times depend on what else the machine did. */
export function taskTable(records: readonly InitialRecord[], starts: readonly string[]): string {
  const old = oldVersions(records);
  const lines = groupBy(records, ({ task }) => task).flatMap((all) =>
    starts.flatMap((start) => {
      const some = all.filter((record) => record.start === start);
      if (some.length === 0) return [];
      const average = (which: keyof typeof MEASURES, digits: number): string =>
        meanOfTasks(tasksOf(some, (record) => MEASURES[which](record, old.get(record.key)!))).toFixed(digits);
      const seconds = mean(some.map(({ cost }) => cost.ms / 1000)).toFixed(1);
      return [[all[0]!.task, start, average('value', 1), average('flips', 1), average('loss', 4), seconds]];
    }),
  );
  return table(['task', 'start', 'right, %', 'flips, %', 'loss, nats', 'seconds'], lines).join('\n');
}

/** By the key of the place. */
function oldVersions(records: readonly InitialRecord[]): ReadonlyMap<string, InitialRecord> {
  return new Map(records.filter(({ start }) => start === OLD_VERSION).map((record) => [record.key, record]));
}

function results(records: readonly InitialRecord[]): string[] {
  const old = oldVersions(records);
  const of = (start: string): InitialRecord[] =>
    records.filter((record) => record.start === start && old.has(record.key));
  const average = (some: readonly InitialRecord[], which: keyof typeof MEASURES): number =>
    meanOfTasks(tasksOf(some, (record) => MEASURES[which](record, old.get(record.key)!)));
  const against = (start: string, other: string, which: keyof typeof MEASURES): string => {
    if (start === other) return '–';
    const others = new Map(of(other).map((record) => [record.key, record]));
    const pairs = of(start).filter(({ key }) => others.has(key));
    const measure = (record: InitialRecord) => MEASURES[which](record, old.get(record.key)!);
    const differences = tasksOf(pairs, (record) => {
      const before = measure(others.get(record.key)!);
      return measure(record).map((value, row) => value - before[row]!);
    });
    return differences.length === 0 ? '–' : interval(differences, which === 'loss' ? 3 : 1);
  };
  const lines = [OLD_VERSION, ...STARTS].filter((start) => of(start).length > 0);
  return table(
    HEADER,
    lines.map((start) => [
      start,
      average(of(start), 'value').toFixed(1),
      start === OLD_VERSION ? '–' : average(of(start), 'flips').toFixed(1),
      average(of(start), 'loss').toFixed(3),
      against(start, 'revert', 'value'),
      against(start, 'search', 'value'),
      start === OLD_VERSION ? '–' : against(start, 'revert', 'flips'),
      against(start, 'revert', 'loss'),
    ]),
  );
}

/** The rows' numbers of each tenant, by task: the mean over its evolutions. */
function tasksOf(
  records: readonly InitialRecord[],
  measure: (record: InitialRecord) => readonly number[],
): TaskDifferences[] {
  return groupBy(records, ({ task }) => task).map((some) =>
    groupBy(some, ({ adapter, seed }) => `${adapter} ${seed}`).map((own) => {
      const lists = own.map(measure);
      return lists[0]!.map((_, row) => mean(lists.map((list) => list[row]!)));
    }),
  );
}

function meanOfTasks(tasks: readonly TaskDifferences[]): number {
  return mean(tasks.map((task) => mean(task.map((values) => mean(values)))));
}

function interval(tasks: readonly TaskDifferences[], digits: number): string {
  const { mean: center, interval: ends } = pairedInterval(tasks);
  const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
  return ends === null ? signed(center) : `${signed(center)} (${ends.map(signed).join(' to ')})`;
}

/** Means over tenants and evolutions. Times are not among them, because they depend on what else a machine does. */
function costs(records: readonly InitialRecord[]): string[] {
  const lines = STARTS.flatMap((start) => {
    const own = records.filter((record) => record.start === start).map(({ cost }) => cost);
    if (own.length === 0) return [];
    const [forward, backward] = [mean(own.map((cost) => cost.forward)), mean(own.map((cost) => cost.backward))];
    return [[start, forward.toFixed(0), backward.toFixed(0)]];
  });
  return table(['start', 'rows forward', 'rows forward and backward'], lines);
}

function groupBy<T>(list: readonly T[], keyOf: (one: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return [...groups.values()];
}
