import path from 'node:path';
import { UnsuccessfulResult, UsageError } from '../../cli/errors.ts';
import { interruptible } from '../../cli/interruption.ts';
import type { Output } from '../../cli/output.ts';
import { loadExperiment, type Experiment } from '../config/load-experiment.ts';
import type { ExperimentOptions } from '../options.ts';
import { planExperiment } from '../plan.ts';
import { writeReport, type ReportInput } from '../report/write-report.ts';
import { ResultsFile } from '../results.ts';
import { standingLines } from './progress-lines.ts';
import { runItems } from './run-items.ts';
import { hasEnded, standingOf, type Standing } from './standing.ts';

/**
 * Does what the command asks for: measures what is open, and writes the report; or one of the two; or says how far the
 * experiment is. A blind experiment has no report before its end.
 * @throws UsageError for a mistake in the file, and for a report of a blind experiment before its end; UnsuccessfulResult if
 *   jobs failed
 */
export async function runExperiment(options: ExperimentOptions, output: Output): Promise<void> {
  const experiment = await loadExperiment(options.config);
  const { hours = experiment.hours } = options;
  const out = path.resolve(options.out ?? path.join('results', experiment.name));
  const items = planExperiment(experiment);
  const results = await ResultsFile.open(path.join(out, 'results.jsonl'));
  try {
    if (!options.reportOnly && !options.estimate)
      await interruptible((signal) => runItems(experiment, items, { results, out, output, signal, hours }));
    const standing = standingOf(items, results, out);
    const isHidden = experiment.blind === true && !hasEnded(experiment, standing);
    if (options.reportOnly && isHidden) throw new UsageError(tooEarly(experiment, standing));
    if (options.estimate || isHidden)
      return output.result(documentOf(experiment, standing), standingLines(standing, hours));
    await report({ experiment, items, records: results.records, out, config: options.config }, output);
  } finally {
    await results.close();
  }
}

async function report(input: ReportInput, output: Output): Promise<void> {
  const { file, document, lines, failed } = await writeReport(input);
  output.result(document, [['report', file], ...lines]);
  if (failed === 0) return;
  const results = path.join(input.out, 'results.jsonl');
  throw new UnsuccessfulResult(`${failed} jobs failed; remove their lines from ${results} to run them again`);
}

function tooEarly({ name }: Experiment, { open }: Standing): string {
  return (
    `${name} is blind, and ${open.length} of its items are not measured: its report is written when all of them are, or ` +
    'when the hours of its file are spent; --estimate says how far it is'
  );
}

function documentOf({ name }: Experiment, { done, open, spentMs, leftMs }: Standing): object {
  return { experiment: name, planned: done + open.length, measured: done, spentMs, leftMs };
}
