import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { positive } from '../positive.ts';
import { toMarkdown } from './report.ts';
import type { JobModel, KeptVerdicts } from './simulated-job.ts';
import {
  modelsOfErrors,
  modelsOfLooks,
  modelsOfLossErrors,
  modelsOfPower,
  simulate,
  takesOneLook,
  type Simulated,
} from './simulate.ts';

const options = new Command('bench:gate')
  .description(
    'Simulate whole jobs on the real ladder, with rows that are drawn at random: how often a job publishes an ' +
      'adapter that is worse by the whole margin, and how often it certifies one that is as good as the old version.',
  )
  .option(
    '--jobs <n>',
    'Number of jobs for each line of the first and third table: ten times as many for strategies with one look, and ' +
      'an eighth for each cell of the second.',
    positive,
    2000,
  )
  .option('--json <file>', 'Write all figures to this file.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ jobs: number; json?: string }>();

/** Caches of verdicts, by number of rows and margin. */
const kept = new Map<string, KeptVerdicts>();

const errors: Simulated[] = [];
for (const model of [...modelsOfErrors(), ...modelsOfLossErrors()]) {
  errors.push(await simulateAndLog(model, takesOneLook(model) ? 10 * options.jobs : options.jobs));
}
const power: Simulated[] = [];
const patient: Simulated[] = [];
const jobsOfCell = Math.ceil(options.jobs / 8);
for (const model of modelsOfPower()) power.push(await simulateAndLog(model, jobsOfCell));
for (const model of modelsOfPower(0)) patient.push(await simulateAndLog(model, jobsOfCell));
const looks: Simulated[] = [];
for (const model of modelsOfLooks()) looks.push(await simulateAndLog(model, options.jobs));
const document = { errors, power, patient, looks };
if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
process.stdout.write(`${toMarkdown(document)}\n`);

async function simulateAndLog(model: JobModel, jobs: number): Promise<Simulated> {
  const { strategy, metric, rows, margin, flips, persistence } = model;
  const key = `${rows} ${margin}`;
  const verdicts = kept.get(key) ?? new Map();
  kept.set(key, verdicts);
  const simulated = await simulate(model, jobs, verdicts);
  const shares = `margin ${margin}, flips ${flips}, ${persistence}`;
  process.stderr.write(`${strategy} ${metric} ${rows} rows, ${shares}: ${simulated.certified}/${jobs}
`);
  return simulated;
}
