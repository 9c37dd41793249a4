import path from 'node:path';
import { Command, Option } from 'commander';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import { PRECISIONS, type Precision } from '../../core/options/precisions.ts';
import { calibrationBatch } from '../../core/engine/int8/calibration-batch.ts';
import { observeSmoothing } from '../../core/engine/int8/smoothing.ts';
import type { Runtime } from '../../core/engine/runtime.ts';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer } from '../../core/formats/tokenizer/tokenizer.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { createAdapter } from '../../core/models/lora/lora-init.ts';
import { findChoices } from '../../core/data/choices.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import { meanLoss, measure } from '../../core/data/evaluation.ts';
import { tokenizeRows } from '../../core/data/task-data.ts';
import { train } from '../../core/training/trainer.ts';

/** One adapter: trained in a precision, measured in that one and in f32. */
interface Outcome {
  readonly task: string;
  readonly seed: number;
  readonly precision: Precision;
  readonly tokensPerSecond: number;
  /** By the precision that measured. */
  readonly accuracy: Readonly<Record<string, number>>;
  readonly loss: Readonly<Record<string, number>>;
}

interface Options {
  readonly model: string;
  readonly data: string;
  readonly tasks: readonly string[];
  readonly seeds: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly testRows: number;
  readonly precision: Precision;
  readonly json?: string;
}

const DATA = path.join(import.meta.dirname, '../../examples/demo-family/data');

const program = new Command('bench:precision')
  .description(
    'what an adapter loses that was trained on a base in fewer bits: trained in both, measured in both, over tasks and seeds',
  )
  .requiredOption('--model <dir>', 'base model folder')
  .option('--data <dir>', 'folder with TASK/train.jsonl and TASK/test.jsonl', DATA)
  .option('--tasks <names>', 'tasks, as a list', (text: string) => text.split(','), ['sst2', 'agnews'])
  .option('--seeds <n>', 'seeds of initialization and sampling', Number, 3)
  .option('--steps <n>', 'optimizer steps', Number, 60)
  .option('--batch-size <n>', 'examples a step', Number, 16)
  .option('--test-rows <n>', 'rows to measure on, at most', Number, 1000)
  .addOption(new Option('--precision <name>', 'beside f32').choices(PRECISIONS).default('int8'))
  .option('--json <file>', 'write every figure there');

const options = program.parse().opts<Options>();
const precisions: readonly Precision[] = ['f32', options.precision];
const base = await loadBaseModel(options.model);
const tokenizer = await loadTokenizer(options.model);
const smoothing = await observeSmoothing(base, calibrationBatch(tokenizer), { threads: 2 });
const runtimes = new Map(precisions.map((precision) => [precision, createRuntime({ base, precision, smoothing })]));
const outcomes: Outcome[] = [];
for (const task of options.tasks) {
  for (let seed = 0; seed < options.seeds; seed++) {
    for (const precision of precisions) {
      outcomes.push(await study(task, seed, precision));
      console.log(describe(outcomes.at(-1)!));
      if (options.json) await writeFileAtomic(options.json, JSON.stringify(outcomes, null, 2));
    }
  }
}
for (const runtime of runtimes.values()) await runtime.dispose();
console.log(`\n${table(outcomes, options)}`);

async function study(task: string, seed: number, precision: Precision): Promise<Outcome> {
  const load = async (file: string) => loadDataset(path.join(options.data, task, file));
  const [trainRows, testRows] = [await load('train.jsonl'), (await load('test.jsonl')).slice(0, options.testRows)];
  const choices = findChoices([...trainRows, ...testRows], tokenizer);
  const examples = tokenizeRows(trainRows, { tokenizer, config: base.config });
  const { steps, batchSize } = options;
  const runtime = runtimes.get(precision)!;
  const { adapter, tokens, seconds } = await train({
    runtime,
    initial: initialAdapter(base, seed),
    examples,
    steps,
    batchSize,
    seed,
    learningRate: 1e-3,
  });
  const held = tokenizeRows(testRows, { tokenizer, config: base.config });
  const accuracy: Record<string, number> = {};
  const loss: Record<string, number> = {};
  for (const measuring of precisions) {
    const judge: Runtime = runtimes.get(measuring)!;
    accuracy[measuring] = (await measure(judge, adapter, held, { metric: 'accuracy', choices })).value;
    loss[measuring] = (await meanLoss(judge, adapter, held)).value;
  }
  return { task, seed, precision, tokensPerSecond: tokens / seconds, accuracy, loss };
}

function initialAdapter({ config, weights }: BaseModel, seed: number): Adapter {
  return createAdapter({ base: config, weights, rank: 8, alpha: 16, targetModules: 'all-linear', seed });
}

function describe({ task, seed, precision, tokensPerSecond, accuracy, loss }: Outcome): string {
  const measured = Object.keys(accuracy).map(
    (name) => `${name}: ${(100 * accuracy[name]!).toFixed(1)} % loss ${loss[name]!.toFixed(4)}`,
  );
  return `${task} seed ${seed} trained in ${precision} (${Math.round(tokensPerSecond)} tokens/s), measured in ${measured.join(', in ')}`;
}

function table(all: readonly Outcome[], { tasks }: Options): string {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const lines = tasks.flatMap((task) =>
    precisions.map((precision) => {
      const rows = all.filter((outcome) => outcome.task === task && outcome.precision === precision);
      const cells = precisions.map(
        (judge) =>
          `${(100 * mean(rows.map(({ accuracy }) => accuracy[judge]!))).toFixed(2)} | ${mean(rows.map(({ loss }) => loss[judge]!)).toFixed(4)}`,
      );
      return `| ${task} | ${precision} | ${cells.join(' | ')} | ${Math.round(mean(rows.map(({ tokensPerSecond }) => tokensPerSecond)))} |`;
    }),
  );
  const heads = precisions.map((judge) => `accuracy in ${judge}, % | loss in ${judge}`);
  return [
    `| task | trained in | ${heads.join(' | ')} | tokens/s |`,
    `|---|---|${precisions.map(() => '---|---|').join('')}---|`,
    ...lines,
  ].join('\n');
}
