import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { positive } from '../positive.ts';
import { toMarkdown } from './report.ts';
import type { JobModel, KeptVerdicts } from './simulated-job.ts';
import { modelsOfErrors, modelsOfPower, simulate, type Simulated } from './simulate.ts';

const options = new Command('bench:gate')
  .description(
    'Simulate whole jobs on the real ladder, with rows that are drawn at random: how often a job publishes an ' +
      'adapter that is worse by the whole margin, and how often it certifies one that is as good as the old version.',
  )
  .option(
    '--jobs <n>',
    'Number of jobs for each line of the first table; each cell of the second has a quarter.',
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
for (const model of modelsOfErrors()) errors.push(await simulateAndLog(model, options.jobs));
const power: Simulated[] = [];
const patient: Simulated[] = [];
const jobsOfCell = Math.ceil(options.jobs / 4);
for (const model of modelsOfPower()) power.push(await simulateAndLog(model, jobsOfCell));
for (const model of modelsOfPower(0)) patient.push(await simulateAndLog(model, jobsOfCell));
const document = { errors, power, patient };
if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
process.stdout.write(`${toMarkdown(document)}\n`);

async function simulateAndLog(model: JobModel, jobs: number): Promise<Simulated> {
  const { strategy, rows, margin, flips, persistence } = model;
  const key = `${rows} ${margin}`;
  const verdicts = kept.get(key) ?? new Map();
  kept.set(key, verdicts);
  const simulated = await simulate(model, jobs, verdicts);
  process.stderr.write(
    `${strategy} ${rows} rows, margin ${margin}, flips ${flips}, ${persistence}: ${simulated.certified}/${jobs}\n`,
  );
  return simulated;
}
