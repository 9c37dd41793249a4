import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { duration, percent, type Output } from '../cli/output.ts';
import { withBases } from '../cli/loaded-bases.ts';
import type { Experiment } from './config/load-experiment.ts';
import { Estimate } from './estimate.ts';
import { Laboratory } from './lab/laboratory.ts';
import { measureItem } from './lab/measure-item.ts';
import { nameOf, type CellItem, type Item } from './plan.ts';
import type { CellRecord, ItemRecord, Measured, RunRecord } from './records.ts';
import type { ResultsFile } from './results.ts';

export interface RunOptions {
  readonly results: ResultsFile;
  readonly out: string;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/**
 * Measures the items that have no result yet, appends each record as soon as it is measured, and logs the progress. A job
 * that fails is recorded as failed and run again by the next run.
 */
export async function runItems(experiment: Experiment, items: readonly Item[], options: RunOptions): Promise<void> {
  const { results, out, output, signal } = options;
  const estimate = new Estimate();
  const done = noteDone(items, results, estimate);
  const open = items.filter(({ key }) => !done.has(key));
  output.log(`${experiment.name}: ${items.length} items, ${done.size} done${remaining(estimate, open)}`);
  if (open.length === 0) return;
  const { device = 'auto', precision = 'auto', threads = os.availableParallelism() } = experiment;
  await withBases({ json: false, seed: 0, device, precision, threads }, async (bases) => {
    await results.append(runRecord(experiment, { device, precision, threads }));
    const records = () => results.records;
    const laboratory = new Laboratory({ bases, base: experiment.base, out, signal, records });
    for (const [index, item] of open.entries()) {
      signal.throwIfAborted();
      output.progress(`${item.key} …`);
      const record = await timed(item, laboratory, signal);
      await results.append(record);
      estimate.note(item, record.ms);
      const place = `[${done.size + index + 1}/${items.length}]`;
      output.log(`${place} ${describe(item)}: ${summary(record)}${remaining(estimate, open.slice(index + 1))}`);
    }
  });
}

/** Finds the items that have been measured (failed jobs do not count) and tells the estimate what they took. */
function noteDone(items: readonly Item[], results: ResultsFile, estimate: Estimate): Set<string> {
  const records = new Map(results.records.map((record) => [record.key, record]));
  const done = new Set<string>();
  for (const item of items) {
    const record = records.get(item.key);
    if (record === undefined || (record.type === 'cell' && record.state === 'failed')) continue;
    estimate.note(item, record.ms);
    done.add(item.key);
  }
  return done;
}

async function timed(item: Item, laboratory: Laboratory, signal: AbortSignal): Promise<ItemRecord> {
  const begun = performance.now();
  const measured = await measureItem(laboratory, item).catch((error: unknown): Measured => {
    if (signal.aborted || item.type !== 'cell') throw error;
    return failed(item, error);
  });
  return { key: item.key, ...measured, ms: performance.now() - begun, at: new Date().toISOString() };
}

function failed(item: CellItem, error: unknown): Measured<CellRecord> {
  const { tenant, evolution, rows, strategy, draw } = item;
  const where = { ...nameOf(tenant), evolution: evolution.name, rows, draw: draw?.number, strategy: strategy.name };
  const nothing = { elapsedMs: 0, warmUpMs: 0, candidates: [], search: [], first: null, final: null };
  return {
    type: 'cell',
    ...where,
    state: 'failed',
    ...nothing,
    error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  };
}

function describe(item: Item): string {
  return item.key.replace(/ #.*/, '').replace(/ (\d+) (\S+)$/, ' $1 rows, $2');
}

function summary(record: ItemRecord): string {
  const took = duration(record.ms);
  if (record.type === 'evolution') return `drift ${percent(record.drift)}, ${took}`;
  if (record.type === 'tenant') return `old adapter ${record.old.value.toFixed(3)}, ${took}`;
  if (record.type === 'reference')
    return `none ${record.none.value.toFixed(3)}, copy ${record.copy.value.toFixed(3)}, ${took}`;
  if (record.type === 'surface') return `${record.points.length} points, ${took}`;
  if (record.state === 'failed') return `FAILED: ${record.error}`;
  const ready =
    record.state === 'ready'
      ? `ready after ${duration(record.readyMs!)}`
      : `not ready after ${duration(record.elapsedMs)}`;
  return `${ready}, ${record.final?.value.toFixed(3) ?? '–'} on test rows, ${took}`;
}

function remaining(estimate: Estimate, open: readonly Item[]): string {
  const left = estimate.left(open);
  return open.length === 0 || left === null ? '' : `; about ${duration(left)} left`;
}

function runRecord(config: Experiment, engine: Pick<RunRecord, 'device' | 'precision' | 'threads'>): RunRecord {
  const at = new Date().toISOString();
  const [cpu] = os.cpus();
  const machine = `${cpu!.model.trim()}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  return { type: 'run', key: `run ${at}`, ms: 0, at, commit: commit(), machine, ...engine, config };
}

function commit(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
