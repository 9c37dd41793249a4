import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { format } from 'oxfmt';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import type { Adapter, LoraFactors } from '../../../core/models/lora/adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import type { ModelConfig } from '../../../core/models/config/model-config.ts';
import { PROJECTIONS } from '../../../core/models/lora/projections.ts';
import { Random } from '../../../core/statistics/random.ts';
import { renderSvg } from '../chart.ts';
import { measureSides } from './measure.ts';
import { benchCommand, benchOptions, type BenchOptions } from './options.ts';
import { engineChart } from './report/chart.ts';
import {
  GOALS,
  workloadResult,
  type BenchDocument,
  type Machine,
  type WorkloadResult,
  type WorkloadSettings,
} from './report/document.ts';
import { joinDocuments } from './report/join.ts';
import { toMarkdown, withSection } from './report/markdown.ts';
import { workloadName } from './report/names.ts';
import type { RowKind } from './rows.ts';
import { ensurePython, runVisibly } from './sides/python.ts';
import { TORCH_SIDES, type SideName } from './sides/side-protocol.ts';
import { prepareWorkload } from './workload.ts';

const DOCS = path.join(import.meta.dirname, '../../docs');
const RANK = 8;
const TARGET_MODULES = PROJECTIONS.map((name) => name.replace(/^.*\./, ''));

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const options = benchOptions(benchCommand().parse());
  const document = options.from ? await readDocuments(options.from) : await run(options);
  if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(document)}\n`);
  if (options.docs) await updateDocs(document);
}

async function readDocuments(files: readonly string[]): Promise<BenchDocument> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return joinDocuments(texts.map((text) => JSON.parse(text) as BenchDocument) as [BenchDocument, ...BenchDocument[]]);
}

async function run(options: BenchOptions): Promise<BenchDocument> {
  const base = await loadBaseModel(options.model);
  const python = options.python ? await ensurePython({ environment: process.env, log, run: runVisibly }) : null;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-'));
  try {
    const adapter = path.join(folder, 'adapter');
    const generationAdapter = path.join(folder, 'generation-adapter');
    await saveAdapter(adapter, freshAdapter(base.config));
    await saveAdapter(generationAdapter, changingAdapter(base.config));
    return await measure(options, { base, adapter, generationAdapter, python });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Sizes at which PyTorch is near its best speed and a round takes about a quarter of a minute a side. */
const SIZES: Readonly<Record<RowKind, { readonly batchSize: number; readonly steps: number }>> = {
  sst2: { batchSize: 16, steps: 4 },
  agnews: { batchSize: 8, steps: 4 },
  chat: { batchSize: 4, steps: 2 },
};

/** Adapter that all sides train, with B = 0. */
function freshAdapter(base: ModelConfig) {
  return createAdapter({ base, rank: RANK, alpha: 2 * RANK, targetModules: TARGET_MODULES, seed: 0 });
}

/** Standard deviation of B. With this one the adapter changes a layer's outputs by some percent. */
const CHANGE = 0.02;

/**
 * Adapter that all sides generate with. It is not the one that they train, because each side trains on other batches.
 * Its B is random rather than zero, so that texts differ if a side applies it wrongly.
 */
function changingAdapter(base: ModelConfig): Adapter {
  const { config, modules } = freshAdapter(base);
  const random = Random.fromSeed(1);
  const changing = [...modules].map(([name, factors]): [string, LoraFactors] => {
    return [name, { ...factors, b: factors.b.map(() => CHANGE * random.normal()) }];
  });
  return { config, modules: new Map(changing) };
}

interface Prepared {
  readonly base: BaseModel;
  /** Folder of the adapter that is trained. */
  readonly adapter: string;
  readonly generationAdapter: string;
  /** Path of the Python interpreter, or null to measure Readapt alone. */
  readonly python: string | null;
}

async function measure(options: BenchOptions, { base, python, ...adapters }: Prepared): Promise<BenchDocument> {
  const { model, rounds, newTokens } = options;
  const sides: SideName[] = [
    ...options.readapt.map((precision) => `readapt-${precision}` as const),
    ...(python ? TORCH_SIDES : []),
  ];
  const threads = os.availableParallelism();
  const started = new Date().toISOString();
  const before = loadAverage();
  const results: WorkloadResult[] = [];
  for (const rows of options.rows) {
    const { batchSize, steps } = {
      batchSize: options.batch ?? SIZES[rows].batchSize,
      steps: options.steps ?? SIZES[rows].steps,
    };
    const settings: WorkloadSettings = { rows, batchSize, rounds, steps, newTokens };
    log(workloadName(settings));
    const workload = await prepareWorkload({ ...settings, folder: model, config: base.config });
    const measured = await measureSides({ sides, python, base: model, ...adapters, threads, rounds, workload, log });
    results.push(workloadResult(settings, workload, measured));
  }
  return {
    command: ['npm run bench:engine --', ...process.argv.slice(2)].join(' '),
    started,
    finished: new Date().toISOString(),
    model: { name: modelName(model), parameters: parameters(base) },
    adapter: { method: 'lora', rank: RANK, modules: TARGET_MODULES },
    threads,
    machine: machine(),
    versions: Object.fromEntries(
      results.flatMap(({ sides }) => sides.flatMap((side) => Object.entries(side.versions))),
    ),
    load: [before, loadAverage()],
    goals: GOALS,
    results,
  };
}

function parameters({ weights }: BaseModel): number {
  return [...weights.values()].reduce((total, { data }) => total + data.length, 0);
}

function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

function machine(): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown CPU',
    cores: cpus.length,
    memory: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
  };
}

function modelName(folder: string): string {
  return folder.endsWith(path.join('demo-family', 'v1')) ? 'demo' : path.basename(folder);
}

/** Replaces the model's section of the page and its chart, if the page has one and PyTorch was measured. */
async function updateDocs(document: BenchDocument): Promise<void> {
  const { name } = document.model;
  const file = path.join(DOCS, 'performance.md');
  const page = await readFile(file, 'utf8');
  if (document.results.some(({ ratios }) => ratios.length === 0))
    return log('lab/docs/ is left as it is, because PyTorch was not measured');
  if (!page.includes(`<!-- bench:engine ${name} -->`))
    return log(`lab/docs/ is left as it is, because its performance.md has no section for ${name}`);
  const image = `images/engine-${name}.svg`;
  await mkdir(path.join(DOCS, 'images'), { recursive: true });
  await writeFile(path.join(DOCS, image), await renderSvg(engineChart(document)));
  const caption = `Speed of training, evaluation and generation, and peak memory on ${name}`;
  const section = `${toMarkdown(document)}\n\n![${caption}](${image})`;
  const { code } = await format(file, withSection(page, name, section));
  await writeFile(file, code);
}

await main();
