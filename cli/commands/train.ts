import type { Command } from 'commander';
import type { BaseModel } from '../../core/models/base-model.ts';
import type { StepReport, TrainResult } from '../../core/training/trainer.ts';
import { UsageError } from '../errors.ts';
import { interruptible } from '../interruption.ts';
import { layers, targets } from '../options/adapter-options.ts';
import { addCommonOptions, integer, number, type CommonOptions } from '../options/common-options.ts';
import { count, createOutput, duration, percent, type Output } from '../output.ts';
import { defaultMetric, loadExamples, withBases } from '../loaded-bases.ts';

interface TrainCommandOptions extends CommonOptions {
  readonly base: string;
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

export function register(program: Command): void {
  const command = program
    .command('train')
    .description('train a LoRA adapter on a JSONL file and write it as a PEFT folder')
    .requiredOption('--base <dir>', 'base model folder')
    .requiredOption('--data <file>', 'JSONL with prompt and completion to train on')
    .requiredOption('--validation <file>', 'JSONL to measure the result on')
    .requiredOption('--out <dir>', 'folder to write the adapter to (replaced if it is one)')
    .option('--init <dir>', 'adapter to start from; its rank, alpha and targets are kept')
    .option('--rank <r>', 'rank of a new adapter (default: 8)', integer(1))
    .option('--alpha <a>', 'lora_alpha of a new adapter (default: twice the rank)', number('positive'))
    .option('--dropout <p>', 'lora_dropout of a new adapter, from 0 to below 1 (default: 0)', number())
    .option('--dora', 'a new adapter with DoRA magnitudes')
    .option('--rslora', 'a new adapter scaled by alpha / √rank')
    .option(
      '--targets <names>',
      'modules of a new adapter: names (q_proj,v_proj), a regular expression, or all-linear (default)',
      targets,
    )
    .option('--layers <numbers>', 'layers of a new adapter, from 0: 0,2,8-11 (default: all)', layers)
    .option('--steps <n>', 'optimizer steps', integer(1), 300)
    .option('--batch-size <n>', 'examples a step', integer(1), 16)
    .option('--learning-rate <x>', 'at the end of the warm-up', number('positive'), 1e-3)
    .action(run);
  addCommonOptions(command);
}

async function run(options: TrainCommandOptions): Promise<void> {
  const { init, rank, alpha, dropout, targets, layers, dora, rslora } = options;
  if (
    init !== undefined &&
    [rank, alpha, dropout, targets, layers, dora, rslora].some((given) => given !== undefined)
  ) {
    const described = '--rank, --alpha, --dropout, --targets, --layers, --dora and --rslora';
    throw new UsageError(`${described} describe a new adapter, --init gives one that has them all`);
  }
  const output = createOutput(options);
  const { requireWritableAdapterFolder } = await import('../adapter-folder.ts');
  await requireWritableAdapterFolder(options.out);
  const document = await interruptible((signal) => trainAdapter(options, output, signal));
  output.result(document, toRows(document, options.out));
}

function trainAdapter(options: TrainCommandOptions, output: Output, signal: AbortSignal) {
  return withBases(options, async (bases) => {
    const { saveAdapter } = await import('../../core/formats/peft/peft-adapter-writer.ts');
    const { meanLoss, measure } = await import('../../core/data/evaluation.ts');
    const { train } = await import('../../core/training/trainer.ts');
    const base = await bases.load(options.base);
    const { examples } = await loadExamples(base, options.data);
    const held = await loadExamples(base, options.validation);
    const initial = await initialAdapter(options, base.model);
    const result = await train({
      runtime: base.runtime,
      initial,
      examples,
      steps: options.steps,
      batchSize: options.batchSize,
      learningRate: options.learningRate,
      seed: options.seed,
      signal,
      afterStep: (report) => showStep(report, options, output),
    });
    const loss = await meanLoss(base.runtime, result.adapter, held.examples, { signal });
    const metric = defaultMetric(held.choices);
    const { value } = await measure(base.runtime, result.adapter, held.examples, {
      metric,
      choices: held.choices,
      signal,
    });
    const manifest = {
      baseFingerprint: base.model.fingerprint,
      strategy: 'train',
      metrics: { loss: loss.value, [metric]: value, steps: result.steps },
      precision: base.precision.precision,
    };
    await saveAdapter(options.out, result.adapter, { manifest, replace: true });
    return toDocument(result, { loss: loss.value, [metric]: value });
  });
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
