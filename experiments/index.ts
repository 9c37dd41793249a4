import path from 'node:path';
import { exitCodeOf, printError, UnsuccessfulResult } from '../cli/errors.ts';
import { interruptible } from '../cli/interruption.ts';
import { createOutput } from '../cli/output.ts';
import { loadExperiment } from './config/load-experiment.ts';
import { experimentCommand, type ExperimentOptions } from './options.ts';
import { planExperiment } from './plan.ts';
import { writeReport } from './report/write-report.ts';
import { ResultsFile } from './results.ts';
import { runItems } from './run-items.ts';

async function main(options: ExperimentOptions): Promise<void> {
  const experiment = await loadExperiment(options.config);
  const out = path.resolve(options.out ?? path.join('results', experiment.name));
  const output = createOutput(options);
  const items = planExperiment(experiment);
  const results = await ResultsFile.open(path.join(out, 'results.jsonl'));
  try {
    if (!options.reportOnly)
      await interruptible((signal) => runItems(experiment, items, { results, out, output, signal }));
    const report = await writeReport({ experiment, items, records: results.records, out, config: options.config });
    output.result(report.document, [['report', report.file], ...report.lines]);
    if (report.failed > 0)
      throw new UnsuccessfulResult(`${report.failed} jobs failed; the same command runs them again`);
  } finally {
    await results.close();
  }
}

const options = experimentCommand().parse().opts<ExperimentOptions>();
await main(options).catch((error: unknown) => {
  printError(error, options.json);
  process.exitCode = exitCodeOf(error);
});
