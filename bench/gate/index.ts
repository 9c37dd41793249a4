import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { toMarkdown } from './report.ts';
import type { KeptVerdicts } from './simulated-job.ts';
import { modelsOfErrors, modelsOfPower, simulate, type Simulated } from './simulate.ts';

const options = new Command('bench:gate')
  .description(
    'Simulate whole jobs on the real ladder, with rows that are drawn at random: how often a job publishes an adapter that is worse by the whole margin, and how often it certifies one that is as good as the old version.',
  )
  .option('--jobs <n>', 'Number of jobs for each line of the first table; the second has a quarter.', positive, 2000)
  .option('--json <file>', 'Write all figures to this file.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<{ jobs: number; json?: string }>();

const errors: Simulated[] = [];
const kept: KeptVerdicts = new Map();
for (const model of modelsOfErrors()) errors.push(await told(simulate(model, options.jobs, kept)));
const power: Simulated[] = [];
for (const model of modelsOfPower()) power.push(await told(simulate(model, Math.ceil(options.jobs / 4))));
if (options.json) await writeFile(options.json, `${JSON.stringify({ errors, power }, null, 2)}\n`);
process.stdout.write(`${toMarkdown({ errors, power })}\n`);

async function told(running: Promise<Simulated>): Promise<Simulated> {
  const { strategy, rows, margin, flips, persistence, certified, jobs } = await running;
  process.stderr.write(
    `${strategy} ${rows} rows, margin ${margin}, flips ${flips}, ${persistence}: ${certified}/${jobs}\n`,
  );
  return running;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a positive integer, found "${text}".`);
}
