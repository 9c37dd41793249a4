import type { Experiment } from '../config/load-experiment.ts';
import { KeptVersions } from '../lab/kept-versions.ts';
import type { Item } from '../plan/items.ts';
import type { ResultRecord } from '../records.ts';
import type { ResultsFile } from '../results.ts';
import { Estimate } from './estimate.ts';

const HOUR_MS = 3_600_000;

/** A job that fails by an error is run once more, and then counts as failed for good. */
const MOST_ATTEMPTS = 2;

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

/** @param out folder of the experiment's results */
export function standingOf(items: readonly Item[], results: ResultsFile, out: string): Standing {
  const versions = new KeptVersions(out);
  const estimate = new Estimate();
  const open = items.filter((item) => {
    const record = results.recordOf(item.key);
    if (record === undefined || !isFinal(item, record, versions)) return true;
    estimate.note(item, record.ms);
    return false;
  });
  const spentMs = results.timeOf(new Set(items.map(({ key }) => key)));
  return { done: items.length - open.length, open, spentMs, leftMs: estimate.left(open) };
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

/** Which attempt at an item comes after what is known of it. */
export function nextAttempt(record: ResultRecord | undefined): number {
  return record?.type === 'cell' && record.state === 'failed' ? (record.attempt ?? 1) + 1 : 1;
}

/** A job whose published adapter is gone is not, because a later job of its chain carries that over. */
function isFinal(item: Item, record: ResultRecord, versions: KeptVersions): boolean {
  if (item.type !== 'cell' || record.type !== 'cell') return true;
  if (record.state === 'failed') return nextAttempt(record) > MOST_ATTEMPTS;
  return !item.isParent || record.state !== 'ready' || versions.has(item.key);
}
