import { pairedInterval, type TaskDifferences } from '../report/comparisons/paired-interval.ts';
import { table } from '../report/format.ts';
import { mean } from '../report/statistics.ts';
import { OLD_VERSION, type InitialRecord } from './records.ts';
import { STARTS } from './starts.ts';

/** Computes a number for each test row, or one for all of them. */
type Measure = (record: InitialRecord, old: InitialRecord) => readonly number[];

const MEASURES = {
  /** Metric in points. */
  value: ({ right, scores }) => (scores ?? [...(right ?? '')].map(Number)).map((score) => 100 * score),
  /** Negative flips in points. Empty if the metric does not judge rows right or wrong. */
  flips: ({ right }, old) => [...(right ?? '')].map((now, row) => (old.right?.[row] === '1' && now === '0' ? 100 : 0)),
  /** Loss in nats a completion token. */
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

/** Writes tables for each evolution, for all together if there are several, and one of the costs of the starts. */
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

/** Writes the scores and times of some starts by task. Times depend on other load of the machine. */
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

/** Maps keys of places to the records of the old version. */
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

/** Computes for each task and tenant the number of each row, as the mean over evolutions. */
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

/** Writes the mean costs over tenants and evolutions. Times are left out, because they depend on other load. */
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
