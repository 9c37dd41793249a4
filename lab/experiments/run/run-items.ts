import os from 'node:os';
import type { Output } from '../../../cli/screen/output.ts';
import { withBases } from '../../../cli/models/loaded-bases.ts';
import type { Experiment } from '../config/load-experiment.ts';
import { killedJob } from '../measurement/cell.ts';
import { KeptVersions } from '../measurement/kept-versions.ts';
import { Laboratory } from '../measurement/laboratory.ts';
import { measureItem } from '../measurement/measure-item.ts';
import type { Item } from '../plan/items.ts';
import type { ItemRecord, Measured } from '../records.ts';
import type { ResultsFile } from '../results.ts';
import { requireMeasurable, requireSameConditions } from './conditions.ts';
import { countingDeaths } from './deaths.ts';
import { itemLine, outlook } from './progress-lines.ts';
import { checkedOutCommit, fingerprintsOf, runRecord } from './run-record.ts';
import { MOST_ATTEMPTS, nextAttempt, nextItem, standingOf } from './standing.ts';

export interface RunOptions {
  readonly results: ResultsFile;
  readonly out: string;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** Total hours of all items after which no item begins. Default: those of the experiment. */
  readonly hours?: number | undefined;
  /** Commit for the records of runs. Default: that of the checkout. */
  readonly commit?: string | null | undefined;
}

/** Number of bases that a job of a chain needs: that of the old adapter, the previous one and the new one. */
const CHAIN = 3;

/**
 * Measures the items without a result, appends each record as soon as it is measured, and logs the progress. A job that
 * fails is recorded as failed and run once more.
 * @throws UsageError if earlier results were measured under other conditions, or if open items have retired options;
 *   Error if the machine is at fault
 */
export async function runItems(experiment: Experiment, items: readonly Item[], options: RunOptions): Promise<void> {
  const { results, out, output, signal, hours = experiment.hours, commit = checkedOutCommit() } = options;
  const standing = () => standingOf(items, results, out);
  const begun = standing();
  output.log(`${experiment.name}: ${items.length} items, ${begun.done} done${outlook(begun, hours)}`);
  if (nextItem(begun, hours) === undefined) return;
  requireMeasurable(experiment, begun.open);
  const { device = 'auto', precision = 'auto', threads = os.availableParallelism() } = experiment;
  await withBases({ json: false, seed: 0, device, precision, threads, capacity: CHAIN }, async (bases) => {
    const engine = { device, precision, threads };
    const run = runRecord(experiment, { commit, ...engine, bases: await fingerprintsOf(experiment, bases) });
    requireSameConditions(experiment, run, { lines: results.all, open: begun.open });
    await results.append(run);
    const versions = new KeptVersions(out);
    const recordOf = (key: string) => results.recordOf(key);
    const laboratory = new Laboratory({ bases, base: experiment.base, out, signal, versions, recordOf });
    let now = begun;
    for (let item = nextItem(now, hours); item !== undefined; item = nextItem(now, hours)) {
      signal.throwIfAborted();
      output.progress(`${item.key} …`);
      const record = await measured(item, laboratory, results);
      await results.append(record);
      now = standing();
      output.log(`[${now.done}/${items.length}] ${itemLine(item, record, experiment)}${outlook(now, hours)}`);
    }
    if (now.open.length > 0) output.log(`${now.open.length} items are not measured, because the hours are spent`);
  });
}

async function measured(item: Item, laboratory: Laboratory, results: ResultsFile): Promise<ItemRecord> {
  const attempt = nextAttempt(results.recordOf(item.key));
  const take = () => timed(item, { attempt, measure: () => measureItem(laboratory, item) });
  if (item.type !== 'cell') return take();
  const killed = () => Promise.resolve(killedJob(laboratory, item));
  const giveUp = () => timed(item, { attempt: MOST_ATTEMPTS, measure: killed });
  return countingDeaths(item, results, { take, giveUp });
}

interface Attempt {
  readonly attempt: number;
  measure(): Promise<Measured>;
}

async function timed({ key }: Item, { attempt, measure }: Attempt): Promise<ItemRecord> {
  const begun = performance.now();
  const before = process.cpuUsage();
  const found = await measure();
  const ms = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  const load = { cpuMs: (user + system) / 1000, load: os.loadavg()[0]! };
  return { key, ...found, ...(attempt > 1 && { attempt }), ms, at: new Date().toISOString(), ...load };
}
