import { existsSync } from 'node:fs';
import type { Experiment } from '../config/load-experiment.ts';
import { evolutionFolder, KeptVersions } from '../measurement/kept-versions.ts';
import type { CellItem, EvolutionItem, Item } from '../plan/items.ts';
import { isFor, nameOf, tenantKey } from '../plan/tenant-spec.ts';
import type { ResultRecord } from '../records.ts';
import type { Results } from '../results.ts';
import { Estimate } from './estimate.ts';

const HOUR_MS = 3_600_000;

/** Number of attempts at an item before it counts as failed for good. */
export const MOST_ATTEMPTS = 2;

/** Progress of an experiment. */
export interface Standing {
  readonly done: number;
  /** Open items, in the order of the plan. */
  readonly open: readonly Item[];
  /** Milliseconds spent on the items in all runs, failed attempts included. */
  readonly spentMs: number;
  /** Estimated milliseconds of the open items, or null if one of them resembles no measured item. */
  readonly leftMs: number | null;
}

/** Returns the last record of an item, or undefined. */
type RecordOf = (key: string) => ResultRecord | undefined;

/**
 * Determines the progress of an experiment.
 * @param out folder of the results. A measured item counts as open if its files are gone and an open item needs them.
 *   Null skips this check, for a report, which runs no items
 */
export function standingOf(items: readonly Item[], results: Results, out: string | null): Standing {
  const recordOf: RecordOf = (key) => results.recordOf(key);
  const wanted = withoutExcluded(items, recordOf);
  const unmeasured = unmeasuredOf(wanted, recordOf);
  const open = out === null ? unmeasured : withWhatIsGone(wanted, { unmeasured, results, out });
  const isOpen = new Set(open);
  const estimate = new Estimate();
  for (const item of wanted) if (!isOpen.has(item)) estimate.note(item, recordOf(item.key)!.ms);
  const spentMs = results.timeOf(new Set(items.map(({ key }) => key)));
  return { done: items.length - open.length, open, spentMs, leftMs: estimate.left(open) };
}

/** Lists the items without a final result. */
export function unmeasuredOf(items: readonly Item[], recordOf: RecordOf): Item[] {
  return items.filter(({ key }) => {
    const record = recordOf(key);
    return record === undefined || nextAttempt(record) === MOST_ATTEMPTS;
  });
}

/** Leaves out all items of tenants whose old adapter could not be trained. */
export function withoutExcluded(items: readonly Item[], recordOf: RecordOf): readonly Item[] {
  const isExcluded = ({ key }: Item): boolean => {
    const record = recordOf(key);
    return record?.type === 'failed_tenant' && nextAttempt(record) > MOST_ATTEMPTS;
  };
  const excluded = new Set(items.flatMap((item) => (isExcluded(item) ? tenantsIn(item) : [])));
  if (excluded.size === 0) return items;
  return items.filter((item) => !tenantsIn(item).some((tenant) => excluded.has(tenant)));
}

function tenantsIn(item: Item): string[] {
  return item.tenant ? [tenantKey(item.tenant)] : [];
}

interface Present {
  readonly unmeasured: readonly Item[];
  readonly results: Results;
  readonly out: string;
}

/** Lists the open items, including measured ones whose files are gone while an open item needs them. */
function withWhatIsGone(items: readonly Item[], { unmeasured, results, out }: Present): Item[] {
  const versions = new KeptVersions(out);
  const recordOf: RecordOf = (key) => results.recordOf(key);
  const isUnmeasured = new Set(unmeasured);
  const needed = new Set<string>();
  const isGone = (item: Item): boolean =>
    item.type === 'evolution'
      ? item.origins.some(({ name }) => !existsSync(evolutionFolder(out, item.evolution, name))) ||
        isReplaced(item, results)
      : !versions.has(item.key);
  // An item stands before those that need it, so that the reversed order sees the latter first.
  const open = items.toReversed().filter((item) => {
    const isOpen = isUnmeasured.has(item) || (needed.has(item.key) && isGone(item));
    if (isOpen) for (const key of needsOf(item, items, recordOf)) needed.add(key);
    return isOpen;
  });
  return open.reverse();
}

/** Whether a later tenant's evolution has overwritten this one, perhaps with the difference of other weights. */
function isReplaced({ key, evolution, tenant }: EvolutionItem, { all }: Results): boolean {
  return tenant !== undefined && all.findLast((one) => isOf(one, evolution))?.key !== key;
}

function isOf(record: ResultRecord, { name }: EvolutionItem['evolution']): boolean {
  return record.type === 'evolution' && record.evolution === name;
}

/** Lists the keys of the items whose files an item needs. */
function needsOf(item: Item, items: readonly Item[], recordOf: RecordOf): string[] {
  if (item.type !== 'cell' && item.type !== 'surface') return [];
  const { name } = item.evolution;
  const tenant = nameOf(item.tenant);
  const evolution = items.find(
    (one) => one.type === 'evolution' && one.evolution.name === name && isFor(one.tenant && nameOf(one.tenant), tenant),
  );
  return [...(evolution ? [evolution.key] : []), ...(item.type === 'cell' ? carriedOver(item, recordOf) : [])];
}

/** Finds the job whose published adapter this one carries over: the latest earlier one in its chain that was ready. */
function carriedOver({ parent }: CellItem, recordOf: RecordOf): string[] {
  for (let job = parent; job !== undefined; job = job.parent) {
    const record = recordOf(job.key);
    if (record?.type === 'cell' && record.state === 'ready') return [job.key];
  }
  return [];
}

/** Whether the hours are spent, so that no further item begins. @param hours undefined for no limit */
export function isOver({ spentMs }: Standing, hours: number | undefined): boolean {
  return hours !== undefined && spentMs >= hours * HOUR_MS;
}

/** Returns the next item to measure, or undefined if all are measured or the hours are spent. */
export function nextItem(standing: Standing, hours: number | undefined): Item | undefined {
  return isOver(standing, hours) ? undefined : standing.open[0];
}

/** Whether all items are measured or the hours of the experiment's file are spent. */
export function hasEnded({ hours }: Experiment, standing: Standing): boolean {
  return nextItem(standing, hours) === undefined;
}

/** Number of the next attempt at an item after its last record. It is 1 if the item has not failed. */
export function nextAttempt(record: ResultRecord | undefined): number {
  const isFailed = record?.type === 'failed_tenant' || (record?.type === 'cell' && record.state === 'failed');
  return isFailed ? (record.attempt ?? 1) + 1 : 1;
}
