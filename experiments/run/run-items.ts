import os from 'node:os';
import type { Output } from '../../cli/output.ts';
import { withBases } from '../../cli/loaded-bases.ts';
import type { Experiment } from '../config/load-experiment.ts';
import { KeptVersions } from '../lab/kept-versions.ts';
import { Laboratory } from '../lab/laboratory.ts';
import { measureItem } from '../lab/measure-item.ts';
import type { Item } from '../plan/items.ts';
import type { ItemRecord } from '../records.ts';
import type { ResultsFile } from '../results.ts';
import { itemLine, outlook } from './progress-lines.ts';
import { runRecord } from './run-record.ts';
import { nextAttempt, nextItem, standingOf } from './standing.ts';

export interface RunOptions {
  readonly results: ResultsFile;
  readonly out: string;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** No item begins once all items have taken so many hours together. Default: those of the experiment. */
  readonly hours?: number | undefined;
}

/**
 * Measures the items that have no result yet, appends each record as soon as it is measured, and logs the progress. A job
 * that fails is recorded as failed and run again, once.
 */
export async function runItems(experiment: Experiment, items: readonly Item[], options: RunOptions): Promise<void> {
  const { results, out, output, signal, hours = experiment.hours } = options;
  const standing = () => standingOf(items, results, out);
  const begun = standing();
  output.log(`${experiment.name}: ${items.length} items, ${begun.done} done${outlook(begun, hours)}`);
  if (nextItem(begun, hours) === undefined) return;
  const { device = 'auto', precision = 'auto', threads = os.availableParallelism() } = experiment;
  await withBases({ json: false, seed: 0, device, precision, threads }, async (bases) => {
    await results.append(runRecord(experiment, { device, precision, threads }));
    const versions = new KeptVersions(out);
    const recordOf = (key: string) => results.recordOf(key);
    const laboratory = new Laboratory({ bases, base: experiment.base, out, signal, items, versions, recordOf });
    let now = begun;
    for (let item = nextItem(now, hours); item !== undefined; item = nextItem(now, hours)) {
      signal.throwIfAborted();
      output.progress(`${item.key} …`);
      const record = await measured(item, laboratory);
      await results.append(record);
      now = standing();
      output.log(`[${now.done}/${items.length}] ${itemLine(item, record, experiment)}${outlook(now, hours)}`);
    }
    if (now.open.length > 0) output.log(`${now.open.length} items are not measured, because the hours are spent`);
  });
}

async function measured(item: Item, laboratory: Laboratory): Promise<ItemRecord> {
  const attempt = nextAttempt(laboratory.options.recordOf(item.key));
  const begun = performance.now();
  const found = await measureItem(laboratory, item);
  const times = { ms: performance.now() - begun, at: new Date().toISOString() };
  return { key: item.key, ...found, ...(attempt > 1 && { attempt }), ...times };
}
