import path from 'node:path';
import type { Experiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../../experiments/plan.ts';
import type { CellRecord, ResultRecord } from '../../../experiments/records.ts';
import { ResultsFile } from '../../../experiments/results.ts';
import { runItems } from '../../../experiments/run/run-items.ts';

export interface TinyRun {
  readonly hours?: number;
  /** Called with each line of progress. If it returns true, the run is interrupted. */
  onLog?(line: string): boolean | undefined;
}

/** Runs the open items of an experiment in this process. @returns its records, also after an interruption */
export async function runTiny(experiment: Experiment, out: string, { hours, onLog }: TinyRun = {}) {
  const results = await ResultsFile.open(path.join(out, 'results.jsonl'));
  const controller = new AbortController();
  const log = (line: string): void => {
    if (onLog?.(line)) controller.abort(new Error('interrupted'));
  };
  const output = { log, progress: () => undefined, result: () => undefined };
  try {
    await runItems(experiment, planExperiment(experiment), { results, out, output, signal: controller.signal, hours });
  } catch (error) {
    if (error !== controller.signal.reason) throw error;
  } finally {
    await results.close();
  }
  return results.records;
}

export function cellsIn(records: readonly ResultRecord[]): CellRecord[] {
  return records.filter((record) => record.type === 'cell');
}
