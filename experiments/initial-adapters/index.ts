import { existsSync } from 'node:fs';
import { appendFile, mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { exitCodeOf, printError } from '../../cli/errors.ts';
import { interruptible } from '../../cli/interruption.ts';
import { withBases } from '../../cli/loaded-bases.ts';
import { evolutionBetween } from '../../core/adaptation/evolutions.ts';
import type { BaseCache } from '../../core/engine/base-cache.ts';
import { withOnnxProducts } from '../../core/engine/compiled/onnx-products.ts';
import { loadExperiment, type Experiment } from '../config/load-experiment.ts';
import { KeptVersions } from '../lab/kept-versions.ts';
import { Laboratory } from '../lab/laboratory.ts';
import { planExperiment } from '../plan.ts';
import type { ReferenceItem } from '../plan/items.ts';
import { measureStarts } from './measure.ts';
import { readOptions, type InitialAdaptersOptions } from './options.ts';
import { OLD_VERSION, readRecords, type InitialRecord } from './records.ts';
import { toMarkdown } from './report.ts';

/** One place of the experiment, and what is not measured there yet. */
interface OpenItem {
  readonly item: ReferenceItem;
  readonly starts: readonly string[];
}

async function main(options: InitialAdaptersOptions): Promise<void> {
  const records = options.reportOnly ? await readRecords(options.reportOnly) : await measureAll(options);
  process.stdout.write(`${toMarkdown(records)}\n`);
}

/** Goes on from the records of a run that was interrupted. */
async function measureAll(options: InitialAdaptersOptions): Promise<InitialRecord[]> {
  const { out } = options;
  const file = path.join(out, 'records.jsonl');
  await mkdir(out, { recursive: true });
  const known = existsSync(file) ? await readRecords(file) : [];
  const experiment = narrowed(await loadExperiment(options.config), options);
  const items = planExperiment(experiment).filter((item) => item.type === 'reference');
  const open = items.flatMap((item) => openItem(item, options, known));
  const note = async (record: InitialRecord): Promise<void> => {
    await appendFile(file, `${JSON.stringify(record)}\n`);
    known.push(record);
    process.stderr.write(
      `${record.evolution} ${record.task} ${record.seed}: ${record.start} ${record.value.toFixed(3)}\n`,
    );
  };
  const { device = 'auto', precision = 'auto', threads = availableParallelism() } = experiment;
  if (open.length > 0) {
    await interruptible((signal) =>
      withBases({ json: false, seed: 0, device, precision, threads }, (bases) => {
        // It runs no jobs, so that nothing is known of any.
        const jobs = { items, versions: new KeptVersions(out), recordOf: () => undefined };
        const laboratory = new Laboratory({ bases, base: experiment.base, out, signal, ...jobs });
        return measureOpen(open, { bases, laboratory, rows: options.rows, note });
      }),
    );
  }
  const planned = new Set(items.map(({ key }) => key));
  return known.filter(({ key }) => planned.has(key));
}

/** The experiment with the bases and the number of seeds that the command line says. */
function narrowed(experiment: Experiment, { base, evolutions, seeds }: InitialAdaptersOptions): Experiment {
  return {
    ...experiment,
    ...(base !== undefined && { base: path.resolve(base) }),
    seeds: experiment.seeds.slice(0, seeds),
    ...(evolutions && {
      evolutions: evolutions.map((folder) => ({ name: path.basename(folder), base: path.resolve(folder) })),
    }),
  };
}

function openItem(
  item: ReferenceItem,
  { starts }: InitialAdaptersOptions,
  known: readonly InitialRecord[],
): OpenItem[] {
  const done = new Set(known.filter(({ key }) => key === item.key).map(({ start }) => start));
  const missing = [OLD_VERSION, ...starts].filter((start) => !done.has(start));
  return missing.length === 0 ? [] : [{ item, starts: missing }];
}

interface Run {
  readonly bases: BaseCache;
  readonly laboratory: Laboratory;
  readonly rows: number;
  note(record: InitialRecord): Promise<void>;
}

async function measureOpen(open: readonly OpenItem[], { bases, laboratory, rows, note }: Run): Promise<void> {
  const { base, signal } = laboratory.options;
  await withOnnxProducts(async (products) => {
    for (const { item, starts } of open) {
      const evolution = await evolutionBetween(base, item.evolution.base, { bases, products, signal });
      for await (const record of measureStarts(item, starts, { laboratory, products, evolution, rows })) {
        await note(record);
      }
    }
  });
}

await main(readOptions()).catch((error: unknown) => {
  printError(error, false);
  process.exitCode = exitCodeOf(error);
});
