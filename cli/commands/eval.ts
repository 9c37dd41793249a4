import { Option, type Command } from 'commander';
import type { Measurement } from '../../core/data/evaluation/measure.ts';
import { METRICS, metricTitle, type MetricName } from '../../core/options/metrics.ts';
import { UsageError } from '../process/errors.ts';
import { loadExamples, withBases } from '../models/loaded-bases.ts';
import { addCommonOptions, type CommonOptions } from '../options/common-options.ts';
import { integer } from '../options/parsers.ts';
import { addRowFormatOptions, rowFormatOf, type RowFormatOptions } from '../options/row-format.ts';
import { count, createOutput, duration, percent } from '../screen/output.ts';

interface EvalOptions extends CommonOptions, RowFormatOptions {
  readonly base: string;
  readonly adapter?: string;
  readonly data: string;
  readonly limit?: number;
  readonly metric?: MetricName;
  readonly maxNewTokens?: number;
}

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('Measure a base model, with or without an adapter, on a JSONL file of prompts and completions.')
    .requiredOption('--base <folder>', 'Folder of the base model.')
    .option('--adapter <folder>', 'PEFT folder of the adapter.')
    .requiredOption('--data <file>', 'JSONL file of rows (prompt and completion) to measure on.')
    .option('--limit <n>', 'Number of first rows to measure on. (default: all)', integer(1))
    .addOption(
      new Option('--metric <name>', 'Metric to measure besides the loss.')
        .choices(METRICS)
        .default(undefined, 'accuracy if there are 2 to 20 distinct completions, else none'),
    )
    .option(
      '--max-new-tokens <n>',
      'Largest number of tokens generated for a row, for exact_match, rouge_l and token_f1. (default: follows ' +
        'from the rows)',
      integer(1),
    );
  addRowFormatOptions(command, {
    appendEos: 'what the adapter says in readapt.json, else no',
    maxLength: "what the adapter says, else the model's own maximum, but at most 2048",
  }).action(run);
  addCommonOptions(command);
}

async function run(options: EvalOptions): Promise<void> {
  const document = await withBases(options, async (bases) => {
    const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
    const { meanLoss, measure } = await import('../../core/data/evaluation/measure.ts');
    const base = await bases.load(options.base);
    const adapter = options.adapter === undefined ? null : await loadAdapter(options.adapter, base.model.config);
    const { readAdapterManifest } = await import('../../core/formats/peft/adapter-manifest.ts');
    const known = options.adapter === undefined ? null : await readAdapterManifest(options.adapter);
    const otherwise = { appendEos: known?.appendEos ?? false, maxLength: known?.maxLength };
    const { examples: all, choices } = await loadExamples(base, options.data, rowFormatOf(options, otherwise));
    const metric = options.metric ?? (choices ? 'accuracy' : 'loss');
    if (metric === 'accuracy' && !choices) {
      throw new UsageError(
        `--metric accuracy needs 2 to 20 distinct completions, but ${options.data} has more or fewer`,
      );
    }
    const examples = all.slice(0, options.limit);
    const begun = performance.now();
    const loss = await meanLoss(base.runtime, adapter, examples);
    const { maxNewTokens } = options;
    const other = metric === 'loss' ? null : await measure(base, adapter, examples, { metric, choices, maxNewTokens });
    return toDocument(loss, other, (performance.now() - begun) / 1000);
  });
  createOutput(options).result(document, [
    ['loss', `${document.loss.toFixed(4)} nats a token`],
    ...METRICS.flatMap((metric) => {
      const value = metric === 'loss' ? null : document[metric];
      return typeof value === 'number' ? [[metricTitle(metric), percent(value)] as const] : [];
    }),
    ['examples', count(document.examples)],
    ['tokens', count(document.tokens)],
    ['time', duration(document.seconds * 1000)],
  ]);
}

/**
 * Builds the document that `--json` prints. Its field `tokens` counts the input tokens of the examples once, although a
 * metric may need several passes.
 */
function toDocument(loss: Measurement, other: Measurement | null, seconds: number) {
  const values: Partial<Record<MetricName, number>> = other ? { [other.metric]: other.value } : {};
  return {
    loss: loss.value,
    accuracy: null,
    ...values,
    examples: loss.examples,
    tokens: loss.tokens,
    seconds,
  };
}
