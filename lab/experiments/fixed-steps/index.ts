import { existsSync } from 'node:fs';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { withOnnxProducts } from '../../../core/engine/compiled/onnx-products.ts';
import { positive } from '../../bench/positive.ts';
import { exitCodeOf, printError } from '../../../cli/process/errors.ts';
import { loadExperiment } from '../config/load-experiment.ts';
import { readJsonLines } from '../json-lines.ts';
import { isSame, measureFixedSteps, STARTS, type FixedStepsRecord, type Start } from './measure.ts';
import { toMarkdown } from './report.ts';

interface Options {
  readonly config: string;
  readonly starts: readonly Start[];
  readonly threads?: number;
  readonly out: string;
  readonly reportOnly?: string;
}

const { reportOnly, ...options } = new Command('experiment:fixed-steps')
  .description(
    'Train the adapters of an experiment for the same number of steps, without a gate, on prompts alone: on the ' +
      'answers of the old version, and on its soft targets. Compare how far they agree with it on test prompts.',
  )
  .option('--config <file>', 'YAML file of the experiment.', 'lab/experiments/fixed-steps.yaml')
  .option('--starts <names...>', 'Adapters that trainings start from: copy, revert.', Object.keys(STARTS))
  .option('--threads <n>', 'Number of threads. (default: one for each core)', positive)
  .option('--out <dir>', 'Folder for tenants and records.jsonl.', 'results/prompts-alone')
  .option('--report-only <file>', 'Print the table of the records in this file, and measure nothing.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<Options>();

try {
  const records = reportOnly ? await readJsonLines<FixedStepsRecord>(reportOnly) : await measureAll(options);
  process.stdout.write(`${toMarkdown(records)}\n`);
} catch (error) {
  printError(error, false);
  process.exitCode = exitCodeOf(error);
}

/** Resumes an interrupted run: it measures the adapters that have no record yet. */
async function measureAll({ config, starts, threads, out }: Options): Promise<FixedStepsRecord[]> {
  const experiment = await loadExperiment(config);
  const file = path.join(out, 'records.jsonl');
  await mkdir(out, { recursive: true });
  const found = existsSync(file) ? await readJsonLines<FixedStepsRecord>(file) : [];
  // Write the whole lines again, because the last one may be cut off.
  await writeFile(file, toLines(found));
  const bases = new BaseCache({ precision: experiment.precision, threads: threads ?? null });
  try {
    await withOnnxProducts(async (products) => {
      const isKnown: Parameters<typeof measureFixedSteps>[1]['isKnown'] = (one) =>
        found.some((each) => isSame(each, one));
      for await (const record of measureFixedSteps(experiment, { bases, products, starts, out, isKnown })) {
        await appendFile(file, toLines([record]));
        process.stderr.write(`${nameOf(record)}: ${(100 * record.right).toFixed(1)} %, ${new Date().toISOString()}\n`);
        found.push(record);
      }
    });
    return found;
  } finally {
    await bases.dispose();
  }
}

function nameOf({ task, seed, rows, start, targets }: FixedStepsRecord): string {
  return `${task} ${seed}, ${rows} rows: ${targets ?? 'nothing'} from ${start}`;
}

function toLines(records: readonly FixedStepsRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}
