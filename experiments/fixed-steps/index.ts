import { existsSync } from 'node:fs';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { positive } from '../../bench/positive.ts';
import { BaseCache } from '../../core/engine/base-cache.ts';
import { withOnnxProducts } from '../../core/engine/compiled/onnx-products.ts';
import { readJsonLines } from '../json-lines.ts';
import { measureFixedSteps, RECORDS_OF_TENANT, type FixedStepsOptions, type FixedStepsRecord } from './measure.ts';
import { toMarkdown } from './report.ts';

const { reportOnly, ...options } = new Command('experiment:fixed-steps')
  .description(
    'Train the adapters of the demo family on few rows for the same number of steps, without a gate, on what each way to learn from the old version says, and compare them on the test rows.',
  )
  .option('--rows <n>', 'Number of training rows.', positive, 64)
  .option('--steps <n>', 'Number of training steps.', positive, 60)
  .option('--seeds <n>', 'Number of tenants for each of the four tasks.', positive, 3)
  .option('--out <dir>', 'Folder for tenants and records.jsonl.', 'results/fixed-steps')
  .option('--report-only <file>', 'Print the table of the records in this file, and measure nothing.')
  .helpOption('-h, --help', 'Show this help.')
  .parse()
  .opts<FixedStepsOptions & { readonly reportOnly?: string }>();

const records = reportOnly ? await readJsonLines<FixedStepsRecord>(reportOnly) : await measureAll(options);
process.stdout.write(`${toMarkdown(records)}\n`);

/** Goes on from the records of a run that was interrupted: tenants with all of theirs are not measured again. */
async function measureAll(all: FixedStepsOptions): Promise<FixedStepsRecord[]> {
  const file = path.join(all.out, 'records.jsonl');
  await mkdir(all.out, { recursive: true });
  const known = existsSync(file) ? await readJsonLines<FixedStepsRecord>(file) : [];
  const isDone = ({ task, seed }: Pick<FixedStepsRecord, 'task' | 'seed'>): boolean =>
    known.filter((record) => record.task === task && record.seed === seed).length === RECORDS_OF_TENANT;
  const found = known.filter(isDone);
  await writeFile(file, toLines(found));
  const bases = new BaseCache();
  try {
    await withOnnxProducts(async (products) => {
      for await (const record of measureFixedSteps(bases, products, all, isDone)) {
        await appendFile(file, toLines([record]));
        process.stderr.write(`${record.task} ${record.seed}: ${record.targets ?? 'nothing'} from ${record.start}\n`);
        found.push(record);
      }
    });
    return found;
  } finally {
    await bases.dispose();
  }
}

function toLines(records: readonly FixedStepsRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}
