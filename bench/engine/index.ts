import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { saveAdapter } from '../../core/formats/peft/peft-adapter-writer.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { createAdapter } from '../../core/models/lora/lora-init.ts';
import type { ModelConfig } from '../../core/models/config/model-config.ts';
import { PROJECTIONS } from '../../core/models/lora/projections.ts';
import { renderSvg } from '../chart.ts';
import { engineChart } from './chart.ts';
import { batchResult, GOALS, type BatchResult, type BenchDocument, type Machine } from './document.ts';
import { measureSides } from './measure.ts';
import { benchCommand, benchOptions, type BenchOptions } from './options.ts';
import { ensurePython, runVisibly } from './python.ts';
import { toMarkdown, withSection } from './report.ts';
import { TORCH_SIDES, type SideName } from './side-protocol.ts';
import { prepareWorkload } from './workload.ts';

const DOCS = path.join(import.meta.dirname, '../../docs');
const RANK = 8;
const TARGET_MODULES = PROJECTIONS.map((name) => name.split('.').at(-1)!);

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const options = benchOptions(benchCommand().parse());
  const document = options.from
    ? (JSON.parse(await readFile(options.from, 'utf8')) as BenchDocument)
    : await run(options);
  if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
  process.stdout.write(`${toMarkdown(document)}\n`);
  if (options.docs) await updateDocs(document);
}

async function run(options: BenchOptions): Promise<BenchDocument> {
  const base = await loadBaseModel(options.model);
  const python = options.python ? await ensurePython({ environment: process.env, log, run: runVisibly }) : null;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-'));
  try {
    const adapter = path.join(folder, 'adapter');
    await saveAdapter(adapter, freshAdapter(base.config));
    return await measure(options, { base, adapter, python });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** LoRA of rank 8 on all seven projections; all sides start from this file. */
function freshAdapter(base: ModelConfig) {
  return createAdapter({ base, rank: RANK, alpha: 2 * RANK, targetModules: TARGET_MODULES, seed: 0 });
}

interface Prepared {
  readonly base: BaseModel;
  readonly adapter: string;
  readonly python: string | null;
}

async function measure(options: BenchOptions, { base, adapter, python }: Prepared): Promise<BenchDocument> {
  const { model, rounds, steps } = options;
  const sides: SideName[] = [
    ...options.readapt.map((precision) => `readapt-${precision}` as const),
    ...(python ? TORCH_SIDES : []),
  ];
  const threads = os.availableParallelism();
  const started = new Date().toISOString();
  const before = os.loadavg()[0]!;
  const batches: BatchResult[] = [];
  for (const batchSize of options.batch) {
    log(`batch ${batchSize}`);
    const workload = await prepareWorkload({ folder: model, config: base.config, batchSize, steps });
    const measured = await measureSides({ sides, python, base: model, adapter, threads, rounds, workload, log });
    batches.push(batchResult(batchSize, workload, measured));
  }
  return {
    command: ['npm run bench:engine --', ...process.argv.slice(2)].join(' '),
    started,
    finished: new Date().toISOString(),
    model: { name: modelName(model), parameters: parameters(base) },
    adapter: { method: 'lora', rank: RANK, modules: TARGET_MODULES },
    rounds,
    steps,
    threads,
    machine: machine(),
    versions: Object.assign({}, ...batches[0]!.sides.map((side) => side.versions)) as Record<string, string>,
    load: [before, os.loadavg()[0]!],
    goals: GOALS,
    batches,
  };
}

function parameters({ weights }: BaseModel): number {
  return [...weights.values()].reduce((total, { data }) => total + data.length, 0);
}

function machine(): Machine {
  const [cpu] = os.cpus();
  return {
    cpu: cpu!.model.trim(),
    cores: os.cpus().length,
    memory: os.totalmem(),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
  };
}

function modelName(folder: string): string {
  return folder.endsWith(path.join('demo-family', 'v1')) ? 'demo' : path.basename(folder);
}

/** The page keeps the figures of the models that it has a section for; a run without PyTorch compares nothing. */
async function updateDocs(document: BenchDocument): Promise<void> {
  const { name } = document.model;
  const page = await readFile(path.join(DOCS, 'performance.md'), 'utf8');
  if (document.batches.some(({ ratios }) => ratios.length === 0))
    return log('docs/ is left as it is: nothing was compared');
  if (!page.includes(`<!-- bench:engine ${name} -->`))
    return log(`docs/ is left as it is: docs/performance.md has no section for ${name}`);
  const image = `images/engine-${name}.svg`;
  await mkdir(path.join(DOCS, 'images'), { recursive: true });
  await writeFile(path.join(DOCS, image), await renderSvg(engineChart(document)));
  const section = `${toMarkdown(document)}\n\n![Training speed, evaluation speed and peak memory on ${name}](${image})`;
  await writeFile(path.join(DOCS, 'performance.md'), withSection(page, name, section));
}

await main();
