import path from 'node:path';
import { UnsuccessfulResult, UsageError } from '../../../cli/process/errors.ts';
import { interruptible } from '../../../cli/process/interruption.ts';
import type { Output } from '../../../cli/screen/output.ts';
import { loadExperiment, type Experiment } from '../config/load-experiment.ts';
import type { ExperimentOptions } from '../options.ts';
import { planExperiment, type Item } from '../plan.ts';
import { writeReport, type ReportInput } from '../report/write-report.ts';
import { Results, ResultsFile } from '../results.ts';
import { withOutLock } from './out-lock.ts';
import { standingLines } from './progress-lines.ts';
import { runItems, type RunOptions } from './run-items.ts';
import { checkedOutCommit } from './run-record.ts';
import { hasEnded, standingOf, type Standing } from './standing.ts';

/**
 * Runs the command: measures the open items and writes the report, or only writes the report, or prints the progress. A
 * blind experiment has no report before its end.
 * @param commit for the records of runs
 * @throws UsageError for a mistake in the file, and for a report of a blind experiment before its end;
 *   UnsuccessfulResult if jobs of a run failed
 */
export async function runExperiment(
  options: ExperimentOptions,
  output: Output,
  commit: string | null = checkedOutCommit(),
): Promise<void> {
  const experiment = await loadExperiment(options.config);
  const { hours = experiment.hours } = options;
  const out = path.resolve(options.out ?? path.join('results', experiment.name));
  const items = planExperiment(experiment);
  const isRun = !options.reportOnly && !options.estimate;
  const results = isRun
    ? await measure(experiment, items, { out, output, hours, commit })
    : await Results.read(resultsIn(out));
  const standing = standingOf(items, results, options.reportOnly ? null : out);
  const isHidden = experiment.blind === true && !hasEnded(experiment, standing);
  if (options.reportOnly && isHidden) throw new UsageError(tooEarly(experiment, standing));
  if (options.estimate || isHidden)
    return output.result(documentOf(experiment, standing), standingLines(standing, hours));
  const failed = await report({ experiment, items, records: results.records, out, config: options.config }, output);
  // With --report-only, failed jobs are part of the report and no failure of the command.
  if (isRun && failed > 0) throw new UnsuccessfulResult(failedText(failed, out));
}

/** Measures the open items. @returns all results; their file is closed */
async function measure(
  experiment: Experiment,
  items: readonly Item[],
  options: Omit<RunOptions, 'results' | 'signal'>,
): Promise<Results> {
  return withOutLock(options.out, async () => {
    const results = await ResultsFile.open(resultsIn(options.out));
    try {
      await interruptible((signal) => runItems(experiment, items, { ...options, results, signal }));
    } finally {
      await results.close();
    }
    return results;
  });
}

/** Writes the report. @returns the number of failed jobs */
async function report(input: ReportInput, output: Output): Promise<number> {
  const { file, document, lines, failed } = await writeReport(input);
  output.result(document, [['report', file], ...lines]);
  return failed;
}

function resultsIn(out: string): string {
  return path.join(out, 'results.jsonl');
}

function failedText(failed: number, out: string): string {
  return `${failed} jobs failed; remove their lines from ${resultsIn(out)} to run them again`;
}

function tooEarly({ name }: Experiment, { open }: Standing): string {
  return (
    `${name} is blind, and ${open.length} of its items are not measured: its report is written when all of them are, ` +
    'or when the hours of its file are spent; --estimate says how far it is'
  );
}

function documentOf({ name }: Experiment, { done, open, spentMs, leftMs }: Standing): object {
  return { experiment: name, planned: done + open.length, measured: done, spentMs, leftMs };
}
