import { Option, type Command } from 'commander';
import type { Measurement } from '../../core/data/evaluation.ts';
import type { MetricName } from '../../core/options/metrics.ts';
import { UsageError } from '../errors.ts';
import { addCommonOptions, integer, type CommonOptions } from '../options/common-options.ts';
import { count, createOutput, duration, percent } from '../output.ts';
import { loadExamples, withBases } from '../loaded-bases.ts';

interface EvalOptions extends CommonOptions {
  readonly base: string;
  readonly adapter?: string;
  readonly data: string;
  readonly limit?: number;
  readonly metric?: MetricName;
}

export function register(program: Command): void {
  const command = program
    .command('eval')
    .description('measure a base model, with or without an adapter, on a JSONL file of prompts and completions')
    .requiredOption('--base <dir>', 'base model folder')
    .option('--adapter <dir>', 'PEFT adapter folder')
    .requiredOption('--data <file>', 'JSONL with prompt and completion')
    .option('--limit <n>', 'only the first n rows', integer(1))
    .addOption(
      new Option(
        '--metric <name>',
        'beside the loss (default: accuracy where the completions are 2 to 20 distinct ones)',
      ).choices(['accuracy', 'exact_match', 'loss']),
    )
    .action(run);
  addCommonOptions(command);
}

async function run(options: EvalOptions): Promise<void> {
  const document = await withBases(options, async (bases) => {
    const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
    const { meanLoss, measure } = await import('../../core/data/evaluation.ts');
    const base = await bases.load(options.base);
    const adapter = options.adapter === undefined ? null : await loadAdapter(options.adapter, base.model.config);
    const { examples: all, choices } = await loadExamples(base, options.data);
    const metric = options.metric ?? (choices ? 'accuracy' : 'loss');
    if (metric === 'accuracy' && !choices) {
      throw new UsageError(`--metric accuracy needs 2 to 20 distinct completions, ${options.data} has another number`);
    }
    const examples = all.slice(0, options.limit);
    const begun = performance.now();
    const loss = await meanLoss(base.runtime, adapter, examples);
    const other = metric === 'loss' ? null : await measure(base.runtime, adapter, examples, { metric, choices });
    return toDocument(loss, other, (performance.now() - begun) / 1000);
  });
  createOutput(options).result(document, [
    ['loss', `${document.loss.toFixed(4)} nats a token`],
    ...(document.accuracy === null ? [] : [['accuracy', percent(document.accuracy)] as const]),
    ...(document.exact_match === undefined ? [] : [['exact match', percent(document.exact_match)] as const]),
    ['examples', count(document.examples)],
    ['tokens', count(document.tokens)],
    ['time', duration(document.seconds * 1000)],
  ]);
}

/** `tokens` are the examples' own, prompt and completion, each counted once. */
function toDocument(loss: Measurement, other: Measurement | null, seconds: number) {
  return {
    loss: loss.value,
    accuracy: other?.metric === 'accuracy' ? other.value : null,
    ...(other?.metric === 'exact_match' ? { exact_match: other.value } : {}),
    examples: loss.examples,
    tokens: loss.tokens,
    seconds,
  };
}
