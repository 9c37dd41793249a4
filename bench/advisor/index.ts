import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { adapterReach } from '../../core/method/fusion/adapter-reach.ts';
import { flatEnergy, overallCapturedEnergy } from '../../core/method/evolution/captured-energy.ts';
import { computeEvolution, type WeightSource } from '../../core/method/evolution/evolution.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { findChoices } from '../../core/data/choices.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import { measure, type MeasureOptions } from '../../core/data/evaluation.ts';
import type { TokenizedExample } from '../../core/data/example.ts';
import { tokenizeRows } from '../../core/data/task-data.ts';
import { EVOLUTIONS, evolvedBases, type EvolutionName, type EvolvedBase } from './evolved-bases.ts';

/**
 * Where copying an adapter and reverting the base's change begin to fail, by how far and how the base moved: what the
 * advisor's thresholds come from. `node --import tsx bench/advisor/index.ts` prints a Markdown table for the demo family.
 */
const FAMILY = join(import.meta.dirname, '../../examples/demo-family');

interface Task {
  readonly name: string;
  readonly adapter: Adapter;
  readonly examples: readonly TokenizedExample[];
  readonly options: MeasureOptions;
}

async function loadTask(name: string, base: BaseModel, rows: number): Promise<Task> {
  const tokenizer = await loadTokenizer(join(FAMILY, 'v1'));
  const data = (await loadDataset(join(FAMILY, `data/${name}/test.jsonl`))).slice(0, rows);
  const choices = findChoices(data, tokenizer);
  return {
    name,
    adapter: await loadAdapter(join(FAMILY, 'adapters', name), base.config),
    examples: tokenizeRows(data, { tokenizer, config: base.config }),
    options: { metric: choices ? 'accuracy' : 'exact_match', choices },
  };
}

/** The metric of every adapter on one base, in points. */
async function measureAll(
  base: BaseModel,
  tasks: readonly Task[],
  adapters: readonly (readonly Adapter[])[],
): Promise<number[][]> {
  const runtime = createRuntime({ base, threads: availableParallelism() });
  try {
    const found: number[][] = [];
    for (const [i, { examples, options }] of tasks.entries()) {
      const points: number[] = [];
      for (const adapter of adapters[i]!) points.push(100 * (await measure(runtime, adapter, examples, options)).value);
      found.push(points);
    }
    return found;
  } finally {
    await runtime.dispose();
  }
}

function sourceOf({ config, weights }: BaseModel, fingerprint: string): WeightSource {
  return { config, fingerprint, readWeight: (name) => Promise.resolve(weights.get(name)!) };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      tasks: { type: 'string', default: 'agnews,past,plural,sst2' },
      rows: { type: 'string', default: '400' },
      evolutions: { type: 'string', default: Object.keys(EVOLUTIONS).join(',') },
      factors: { type: 'string', default: '0.02,0.1,0.25,0.5,1,2,4' },
    },
  });
  const [old, next] = await Promise.all([loadBaseModel(join(FAMILY, 'v1')), loadBaseModel(join(FAMILY, 'v2'))]);
  const tasks = await Promise.all(values.tasks.split(',').map((name) => loadTask(name, old, Number(values.rows))));
  const before = await measureAll(
    old,
    tasks,
    tasks.map(({ adapter }) => [adapter]),
  );
  const names = tasks.map(({ name }, i) => `${name} (${before[i]![0]!.toFixed(1)})`);
  console.log(`| evolution | drift, layers | drift, embeddings | energy at rank 8, of noise | ${names.join(' | ')} |`);
  console.log(`|---|---|---|---|${tasks.map(() => '---|').join('')}`);
  const [evolutions, factors] = [
    values.evolutions.split(',') as EvolutionName[],
    values.factors.split(',').map(Number),
  ];
  for (const evolved of evolvedBases(old, next, evolutions, factors)) console.log(await row(old, evolved, tasks));
}

/** Copy → revert, and what the revert undid, of every adapter on one base. */
async function row(old: BaseModel, { name, base }: EvolvedBase, tasks: readonly Task[]): Promise<string> {
  const evolution = await computeEvolution(sourceOf(old, 'old'), sourceOf(base, 'new'));
  const pairs = tasks.map(({ adapter }) => [adapter, new Fusion(adapter, evolution).at({ alpha: 1, beta: -1 })]);
  const points = await measureAll(base, tasks, pairs);
  const cells = tasks.map(({ adapter }, i) => {
    const [copy, revert] = points[i]!;
    return `${copy!.toFixed(1)} → ${revert!.toFixed(1)} (${(100 * adapterReach(adapter, evolution).undone).toFixed(0)} %)`;
  });
  const embeddings = evolution.unadaptable.get('model.embed_tokens.weight')!.drift;
  const structure = overallCapturedEnergy(evolution, 8) / flatEnergy(evolution, 8);
  const times = Number.isFinite(structure) ? `${structure.toFixed(1)} ×` : '–';
  return `| ${name} | ${percent(evolution.adaptable.drift)} | ${percent(embeddings)} | ${times} | ${cells.join(' | ')} |`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

await main();
