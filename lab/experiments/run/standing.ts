import { existsSync } from 'node:fs';
import type { Experiment } from '../config/load-experiment.ts';
import { evolutionFolder, KeptVersions } from '../measurement/kept-versions.ts';
import type { CellItem, EvolutionItem, Item } from '../plan/items.ts';
import { isFor, nameOf, tenantKey } from '../plan/tenant-spec.ts';
import type { ResultRecord } from '../records.ts';
import type { Results } from '../results.ts';
import { Estimate } from './estimate.ts';

const HOUR_MS = 3_600_000;

/** What fails by an error is run once more, and then counts as failed for good. */
export const MOST_ATTEMPTS = 2;

/** How far an experiment is. */
export interface Standing {
  readonly done: number;
  /** What is left to measure, in the order of the plan. */
  readonly open: readonly Item[];
  /** Milliseconds that the items have taken, over all runs with these results, failed attempts included. */
  readonly spentMs: number;
  /** Estimate of the milliseconds that the open items take; null as long as an item is left that resembles no measured one. */
  readonly leftMs: number | null;
}

/** Returns the last record of an item; undefined as long as there is none. */
type RecordOf = (key: string) => ResultRecord | undefined;

/**
 * @param out folder of the experiment's results, whose files open items need; null to go by the results alone, as a report does, for
 *   which nothing is run any more
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

/** The items that have no final result. */
export function unmeasuredOf(items: readonly Item[], recordOf: RecordOf): Item[] {
  return items.filter(({ key }) => {
    const record = recordOf(key);
    return record === undefined || nextAttempt(record) === MOST_ATTEMPTS;
  });
}

/** Leaves out what can never be measured: everything of a tenant whose old adapter could not be trained. */
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

/** The open items, with those among the measured ones whose files an open item needs and which are gone. */
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
  // Whatever needs an item stands after it.
  const open = items.toReversed().filter((item) => {
    const isOpen = isUnmeasured.has(item) || (needed.has(item.key) && isGone(item));
    if (isOpen) for (const key of needsOf(item, items, recordOf)) needed.add(key);
    return isOpen;
  });
  return open.reverse();
}

/** Whether the difference that was computed for a tenant has made room for another tenant's, which may be between other weights. */
function isReplaced({ key, evolution, tenant }: EvolutionItem, { all }: Results): boolean {
  return tenant !== undefined && all.findLast((one) => isOf(one, evolution))?.key !== key;
}

function isOf(record: ResultRecord, { name }: EvolutionItem['evolution']): boolean {
  return record.type === 'evolution' && record.evolution === name;
}

/** Keys of the measured items whose files an item needs. */
function needsOf(item: Item, items: readonly Item[], recordOf: RecordOf): string[] {
  if (item.type !== 'cell' && item.type !== 'surface') return [];
  const { name } = item.evolution;
  const tenant = nameOf(item.tenant);
  const evolution = items.find(
    (one) => one.type === 'evolution' && one.evolution.name === name && isFor(one.tenant && nameOf(one.tenant), tenant),
  );
  return [...(evolution ? [evolution.key] : []), ...(item.type === 'cell' ? carriedOver(item, recordOf) : [])];
}

/** The job whose published adapter this one carries over: the latest before it in its chain that was ready. */
function carriedOver({ parent }: CellItem, recordOf: RecordOf): string[] {
  for (let job = parent; job !== undefined; job = job.parent) {
    const record = recordOf(job.key);
    if (record?.type === 'cell' && record.state === 'ready') return [job.key];
  }
  return [];
}

/** Whether the hours are spent, so that no item begins any more. @param hours the limit; none if undefined */
export function isOver({ spentMs }: Standing, hours: number | undefined): boolean {
  return hours !== undefined && spentMs >= hours * HOUR_MS;
}

/** What is to be measured next; undefined if everything is measured or the hours are spent. */
export function nextItem(standing: Standing, hours: number | undefined): Item | undefined {
  return isOver(standing, hours) ? undefined : standing.open[0];
}

/** Whether an experiment has come to the end that its file names. */
export function hasEnded({ hours }: Experiment, standing: Standing): boolean {
  return nextItem(standing, hours) === undefined;
}

/** Which attempt at an item comes after what is known of it; 1 also where it is measured. */
export function nextAttempt(record: ResultRecord | undefined): number {
  const isFailed = record?.type === 'failed_tenant' || (record?.type === 'cell' && record.state === 'failed');
  return isFailed ? (record.attempt ?? 1) + 1 : 1;
}
