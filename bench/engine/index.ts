import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { loadBaseModel } from '../../workers/formats/hugging-face-model.ts';
import { saveAdapter } from '../../workers/formats/peft-adapter.ts';
import { createAdapter } from '../../workers/models/lora-init.ts';
import type { ModelConfig } from '../../workers/models/model-config.ts';
import { PROJECTIONS } from '../../workers/models/projections.ts';
import { batchResult, type BatchResult, type BenchDocument } from './document.ts';
import { measureSides } from './measure.ts';
import { benchCommand, benchOptions, type BenchOptions } from './options.ts';
import { findPython } from './python.ts';
import { toMarkdown, withSection } from './report.ts';
import type { SideName } from './side-protocol.ts';
import { prepareWorkload } from './workload.ts';

const PAGE = path.join(import.meta.dirname, '../../docs/performance.md');
const RANK = 8;

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<void> {
  const options = benchOptions(benchCommand().parse());
  const { config } = await loadBaseModel(options.model);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-bench-'));
  try {
    const adapter = path.join(folder, 'adapter');
    await saveAdapter(adapter, freshAdapter(config));
    const document = await measure(options, config, adapter);
    if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
    const section = toMarkdown(document);
    process.stdout.write(`${section}\n`);
    await updatePage(document, section);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** LoRA of rank 8 on all seven projections; both sides start from this file. */
function freshAdapter(base: ModelConfig) {
  const targetModules = PROJECTIONS.map((name) => name.split('.').at(-1)!);
  return createAdapter({ base, rank: RANK, alpha: 2 * RANK, targetModules, seed: 0 });
}

async function measure(options: BenchOptions, config: ModelConfig, adapter: string): Promise<BenchDocument> {
  const python = await findPython(log);
  const sides: SideName[] = python === null ? ['readapt'] : ['readapt', 'f32', 'bf16', 'autocast'];
  const threads = os.availableParallelism();
  const before = os.loadavg()[0]!;
  const batches: BatchResult[] = [];
  const { rounds, steps, model } = options;
  for (const batchSize of options.batch) {
    log(`batch ${batchSize}`);
    const workload = await prepareWorkload({ folder: model, config, batchSize, steps });
    const results = await measureSides({ sides, python, base: model, adapter, threads, rounds, workload, log });
    batches.push(batchResult(batchSize, workload.training.map(({ shape }) => shape), results));
  }
  const cpu = `${os.cpus()[0]!.model.trim()} (${os.cpus().length} cores)`;
  const load = [before, os.loadavg()[0]!] as const;
  return { model: modelName(model), rounds, steps, threads, cpu, load, batches };
}

function modelName(folder: string): string {
  return folder.endsWith(path.join('demo-family', 'v1')) ? 'demo' : path.basename(folder);
}

/** The page keeps the figures of the models that it has a section for; a run without PyTorch compares nothing. */
async function updatePage(document: BenchDocument, section: string): Promise<void> {
  if (document.batches.some(({ ratios }) => ratios === null)) return log('docs/performance.md is left as it is: nothing was compared');
  const page = await readFile(PAGE, 'utf8');
  if (!page.includes(`<!-- bench:engine ${document.model} -->`)) {
    return log(`docs/performance.md has no section for ${document.model} and is left as it is`);
  }
  await writeFile(PAGE, withSection(page, document.model, section));
}

await main();
