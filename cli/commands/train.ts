import type { Command } from 'commander';
import type { Measurement } from '../../core/data/evaluation/measure.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import type { StepReport, TrainResult } from '../../core/training/trainer.ts';
import { UsageError } from '../process/errors.ts';
import { interruptible } from '../process/interruption.ts';
import { defaultMetric, loadExamples, withBases } from '../models/loaded-bases.ts';
import { addCommonOptions, baseNameOption, type CommonOptions } from '../options/common-options.ts';
import { integer, layers, number, targets } from '../options/parsers.ts';
import { addRowFormatOptions, rowFormatOf, type RowFormatOptions } from '../options/row-format.ts';
import { count, createOutput, duration, percent, type Output } from '../screen/output.ts';

interface TrainCommandOptions extends CommonOptions, RowFormatOptions {
  readonly base: string;
  readonly baseName?: string;
  readonly data: string;
  readonly validation: string;
  readonly out: string;
  readonly init?: string;
  readonly rank?: number;
  readonly alpha?: number;
  readonly targets?: readonly string[] | string;
  readonly layers?: readonly number[];
  readonly dropout?: number;
  readonly dora?: boolean;
  readonly rslora?: boolean;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** Names of the options that shape a new adapter, as opposed to one given by `--init`. */
const NEW_ADAPTER_OPTIONS = ['rank', 'alpha', 'dropout', 'targets', 'layers', 'dora', 'rslora'] as const;

const positive = number((value) => value > 0, 'a positive number');
const dropoutRate = number((value) => value >= 0 && value < 1, 'a number of at least 0 and below 1');

export function addTrainCommand(program: Command): void {
  const command = program
    .command('train')
    .description('Train a LoRA adapter on a JSONL file and write it as a PEFT folder.')
    .requiredOption('--base <folder>', 'Folder of the base model.')
    .addOption(baseNameOption())
    .requiredOption('--data <file>', 'JSONL file of training rows (prompt and completion).')
    .requiredOption('--validation <file>', 'JSONL file of held-out rows to measure the result on.')
    .requiredOption('--out <folder>', 'Folder for the new adapter. An adapter that is already there is replaced.')
    .option('--init <folder>', 'PEFT folder of an adapter to start from, instead of a new one.')
    .option('--rank <n>', 'Rank of a new adapter. (default: 8)', integer(1))
    .option('--alpha <x>', 'LoRA alpha of a new adapter. (default: twice the rank)', positive)
    .option('--dropout <x>', 'LoRA dropout of a new adapter, at least 0 and below 1. (default: 0)', dropoutRate)
    .option('--dora', 'Give a new adapter DoRA magnitudes.')
    .option('--rslora', 'Scale a new adapter by alpha / √rank.')
    .option(
      '--targets <names>',
      'Modules of a new adapter: names such as q_proj,v_proj, a regular expression, or all-linear. (default: ' +
        'all-linear)',
      targets,
    )
    .option('--layers <numbers>', 'Layers of a new adapter, counted from 0, such as 0,2,8-11. (default: all)', layers)
    .option('--steps <n>', 'Number of optimizer steps.', integer(1), 300)
    .option('--batch-size <n>', 'Number of rows in one optimizer step.', integer(1), 16)
    .option('--learning-rate <x>', 'Peak learning rate, at the end of the warm-up.', positive, 1e-3);
  addRowFormatOptions(command, {
    appendEos: 'what --init says in readapt.json, else yes',
    maxLength: "what --init says, else the model's own maximum, but at most 2048",
  }).action(run);
  addCommonOptions(command);
}

async function run(options: TrainCommandOptions): Promise<void> {
  const given = NEW_ADAPTER_OPTIONS.filter((name) => options[name] !== undefined).map((name) => `--${name}`);
  if (options.init !== undefined && given.length > 0) {
    throw new UsageError(
      `--init starts from an existing adapter, expected no settings of a new one: leave out ${given.join(', ')}`,
    );
  }
  const output = createOutput(options);
  const { requireWritableAdapterFolder } = await import('../process/folders.ts');
  await requireWritableAdapterFolder(options.out);
  const document = await interruptible((signal) => trainAdapter(options, output, signal));
  output.result(document, toRows(document, options.out));
}

function trainAdapter(options: TrainCommandOptions, output: Output, signal: AbortSignal) {
  return withBases(options, async (bases) => {
    const { saveAdapter } = await import('../../core/formats/peft/peft-adapter-writer.ts');
    const { meanLoss, measure } = await import('../../core/data/evaluation/measure.ts');
    const { train } = await import('../../core/training/trainer.ts');
    const { GradientPrecision } = await import('../../core/adaptation/setup/gradient-precision.ts');
    const { lengthLimit } = await import('../../core/data/tokenize.ts');
    const base = await bases.load(options.base);
    const format = await rowFormat(options, base);
    const { examples } = await loadExamples(base, options.data, format);
    const held = await loadExamples(base, options.validation, format);
    const initial = await initialAdapter(options, base.model);
    const warn = (message: string) => void process.stderr.write(`warning: ${message}\n`);
    const gradients = new GradientPrecision({ bases, newBase: { loaded: base }, rows: examples, warn });
    const origin = options.init === undefined ? 'fresh' : 'carried';
    const result = await gradients.use(initial, origin, (runtime) =>
      train({
        runtime,
        initial,
        examples,
        steps: options.steps,
        batchSize: options.batchSize,
        learningRate: options.learningRate,
        seed: options.seed,
        signal,
        afterStep: (report) => showStep(report, options, output),
      }),
    );
    const loss = await meanLoss(base.runtime, result.adapter, held.examples, { signal });
    const metric = defaultMetric(held.choices);
    const judged = await measure(base, result.adapter, held.examples, { metric, choices: held.choices, signal });
    const metrics = { loss: loss.value, [metric]: judged.value };
    const manifest = {
      baseFingerprint: base.model.fingerprint,
      strategy: 'train',
      metrics: { ...metrics, steps: result.steps },
      precision: gradients.decided[origin] ?? base.precision.precision,
      judgedIn: base.precision.precision,
      appendEos: format.appendEos,
      maxLength: lengthLimit({ config: base.model.config, ...format }),
    };
    const baseModelName = options.baseName ?? options.base;
    const outcomes = await outcomesByRow([loss, judged], base, held);
    await saveAdapter(options.out, result.adapter, { baseModelName, manifest, outcomes, replace: true });
    return toDocument(result, metrics);
  });
}

/**
 * Records for each validation row whether the adapter answers it correctly, so that a later `readapt rebase` need not
 * measure the adapter again.
 */
async function outcomesByRow(
  measured: readonly Measurement[],
  { precision: { precision }, endOfTextIds }: LoadedBase,
  { examples: gate, choices }: Awaited<ReturnType<typeof loadExamples>>,
): Promise<Map<string, number>> {
  const { subjectOf, toRowOutcomes } = await import('../../core/adaptation/measurements/gate-outcomes.ts');
  const rows = measured.flatMap(({ metric, perExample }) => {
    const subject = subjectOf({ metric, data: { gate, choices }, precision, maxNewTokens: 0, endOfTextIds });
    return [...toRowOutcomes(perExample, subject)];
  });
  return new Map(rows);
}

/**
 * Returns the row format (end of text and length limit) that the flags give. Settings without a flag are taken from the
 * adapter given by `--init`. A new adapter learns to end its completions if the base has an end-of-text token.
 */
async function rowFormat(options: TrainCommandOptions, base: LoadedBase) {
  const { endOfText } = await import('../../core/data/tokenize.ts');
  const { readAdapterManifest } = await import('../../core/formats/peft/adapter-manifest.ts');
  const known = options.init === undefined ? null : await readAdapterManifest(options.init);
  const canEnd = endOfText({ tokenizer: base.tokenizer, config: base.model.config }) !== null;
  return rowFormatOf(options, { appendEos: known?.appendEos ?? canEnd, maxLength: known?.maxLength });
}

async function initialAdapter(options: TrainCommandOptions, { config: base, weights }: BaseModel) {
  if (options.init !== undefined) {
    const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
    return loadAdapter(options.init, base);
  }
  const { createAdapter } = await import('../../core/models/lora/lora-init.ts');
  const { PatternError } = await import('../../core/models/lora/module-pattern.ts');
  const { rank = 8, alpha = 2 * rank, dora: useDora = false, rslora: useRslora = false, seed } = options;
  const { targets: targetModules = 'all-linear', layers: layersToTransform, dropout } = options;
  try {
    return createAdapter({
      base,
      weights,
      rank,
      alpha,
      dropout,
      useDora,
      useRslora,
      targetModules,
      layersToTransform,
      seed,
    });
  } catch (error) {
    throw error instanceof RangeError || error instanceof PatternError ? new UsageError(error.message) : error;
  }
}

function showStep({ step, loss, state }: StepReport, { steps }: TrainCommandOptions, output: Output): 'continue' {
  const rate = Math.round(state.tokens / state.seconds);
  output.progress(`step ${step}/${steps}  loss ${loss.toFixed(3)}  ${count(rate)} tokens/s`);
  return 'continue';
}

interface Validation {
  readonly loss: number;
  readonly accuracy?: number;
  readonly exact_match?: number;
}

function toDocument(result: TrainResult, validation: Validation) {
  return {
    steps: result.steps,
    train_loss: result.trainLoss,
    validation,
    tokens: result.tokens,
    tokens_per_second: result.tokens / result.seconds,
    seconds: result.seconds,
    peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
  };
}

function toRows(document: ReturnType<typeof toDocument>, out: string): [string, string][] {
  const { loss, accuracy, exact_match } = document.validation;
  return [
    ['steps', count(document.steps)],
    ['train loss', document.train_loss.toFixed(4)],
    ['validation loss', loss.toFixed(4)],
    ...(accuracy === undefined ? [] : [['accuracy', percent(accuracy)] as [string, string]]),
    ...(exact_match === undefined ? [] : [['exact match', percent(exact_match)] as [string, string]]),
    ['tokens', `${count(document.tokens)} (${count(Math.round(document.tokens_per_second))} a second)`],
    ['time', duration(document.seconds * 1000)],
    ['peak memory', `${count(Math.round(document.peak_rss_bytes / 2 ** 20))} MiB`],
    ['adapter', out],
  ];
}
