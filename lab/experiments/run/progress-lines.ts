import { duration, percent } from '../../../cli/screen/output.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { Item } from '../plan/items.ts';
import type { ItemRecord } from '../records.ts';
import { isOver, type Standing } from './standing.ts';

/** Writes the line of progress for a measured item. In a blind experiment it shows no results, but failures. */
export function itemLine(item: Item, record: ItemRecord, { blind = false }: Pick<Experiment, 'blind'>): string {
  const results = blind && !isFailed(record) ? [] : [found(record)];
  return `${described(item)}: ${[...results, duration(record.ms)].join(', ')}`;
}

/** Writes the remaining time of an experiment, and the hours spent if they are limited. */
export function outlook(standing: Standing, hours: number | undefined): string {
  const { open, spentMs, leftMs } = standing;
  const left = open.length === 0 || leftMs === null ? '' : `; about ${duration(leftMs)} left`;
  return hours === undefined ? left : `${left}; ${duration(spentMs)} of ${hours} hours spent`;
}

/** Writes the progress of an experiment as labels and values. It shows counts and times, and no results. */
export function standingLines(standing: Standing, hours: number | undefined): [string, string][] {
  const { done, open, spentMs, leftMs } = standing;
  const left = leftMs === null ? 'unknown before an item of each kind is measured' : `about ${duration(leftMs)}`;
  const limit: [string, string][] = hours === undefined ? [] : [['hours', `${hours}${fits(standing, hours)}`]];
  return [
    ['measured', `${done} of ${done + open.length} items`],
    ['spent', duration(spentMs)],
    ['left', open.length === 0 ? 'nothing' : left],
    ...limit,
  ];
}

function fits(standing: Standing, hours: number): string {
  if (standing.open.length === 0) return '';
  if (isOver(standing, hours)) return ', which are spent';
  const { spentMs, leftMs } = standing;
  if (leftMs === null) return '';
  const isEnough = !isOver({ ...standing, spentMs: spentMs + leftMs }, hours);
  return isEnough ? ', enough for what is left' : ', not enough for what is left';
}

function described(item: Item): string {
  return item.key.replace(/ #.*/, '').replace(/ (\d+) (\S+)$/, ' $1 rows, $2');
}

function isFailed(record: ItemRecord): boolean {
  return record.type === 'failed_tenant' || (record.type === 'cell' && record.state === 'failed');
}

function found(record: ItemRecord): string {
  if (record.type === 'failed_tenant') return `FAILED: ${record.error}`;
  if (record.type === 'evolution') return `drift ${percent(record.drift)}`;
  if (record.type === 'tenant') return `old adapter ${record.old.value.toFixed(3)}`;
  if (record.type === 'reference') return `none ${record.none.value.toFixed(3)}, copy ${record.copy.value.toFixed(3)}`;
  if (record.type === 'surface') return `${record.points.length} points`;
  if (record.state === 'failed') return `FAILED: ${record.error}`;
  const ready =
    record.state === 'ready'
      ? `ready after ${duration(record.readyMs!)}`
      : `not ready after ${duration(record.elapsedMs)}`;
  return `${ready}, ${record.final?.value.toFixed(3) ?? '–'} on test rows`;
}
