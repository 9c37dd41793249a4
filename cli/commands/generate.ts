import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BaseCache } from '../../core/engine/base-cache.ts';
import type { GeneratedText } from '../../core/engine/generation/generate-texts.ts';
import { UsageError } from '../process/errors.ts';
import { interruptible } from '../process/interruption.ts';
import { withBases } from '../models/loaded-bases.ts';
import { addCommonOptions, type CommonOptions } from '../options/common-options.ts';
import { integer } from '../options/parsers.ts';
import type { Prompt, PromptSource } from '../models/prompts.ts';

interface GenerateOptions extends CommonOptions {
  readonly base: string;
  readonly adapter?: string;
  readonly prompt?: string;
  readonly data?: string;
  readonly maxNewTokens: number;
  readonly stop?: readonly string[];
  readonly compare?: string;
  readonly oldAdapter?: string;
}

const HELP = `
Without --prompt and --data, the prompt is read from stdin, without its last line feed. A text ends with a token that
the base's files call the end of the text, with a --stop string, or after --max-new-tokens. The most probable token is
taken at each step.

--json prints {text, token_ids, stop}, where stop is end_of_text, stop_string or max_new_tokens. --data prints one such
document a line, with the line of the row and its completion as expected. With --compare, a document holds two, old and
new, and says whether their texts are the same.`;

export function addGenerateCommand(program: Command): void {
  const command = program
    .command('generate')
    .description('Continue prompts with a base model, with or without an adapter.')
    .requiredOption('--base <folder>', 'Folder of the base model.')
    .option('--adapter <folder>', 'PEFT folder of the adapter.')
    .option('--prompt <text>', 'Text to continue.')
    .option('--data <file>', 'JSONL file of rows (prompt and completion) whose prompts are continued.')
    .option('--max-new-tokens <n>', 'Largest number of tokens of each text.', integer(1), 256)
    .addOption(
      new Option('--stop <text>', 'Text ends where this string begins. It may be given several times.')
        .argParser((text: string, before: readonly string[] = []) => [...before, nonEmpty(text)])
        .default(undefined, 'none'),
    )
    .option(
      '--compare <folder>',
      'Folder of another version of the base, whose texts are shown first, as the old ones.',
    )
    .option('--old-adapter <folder>', 'PEFT folder of the adapter for that version. (default: that of --adapter)')
    .addHelpText('after', HELP)
    .action(run);
  addCommonOptions(command);
}

function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('expected at least one character.');
  return text;
}

async function run(options: GenerateOptions): Promise<void> {
  if (options.oldAdapter !== undefined && options.compare === undefined) {
    throw new UsageError('--old-adapter needs --compare, the base that it belongs to');
  }
  const { promptSource } = await import('../models/prompts.ts');
  const source = await promptSource(options);
  await interruptible((signal) =>
    withBases(options, async (bases) => {
      const generation = { options, bases, source, signal };
      const old = options.compare === undefined ? null : await generated(generation, 'old');
      const found = await generated(generation, 'new');
      print(options, old, found);
    }),
  );
}

interface Generation {
  readonly options: GenerateOptions;
  readonly bases: BaseCache;
  readonly source: PromptSource;
  readonly signal: AbortSignal;
}

interface Generated {
  readonly prompts: readonly Prompt[];
  readonly texts: readonly GeneratedText[];
}

/**
 * Generates texts with the old or the new version of the base. Streams the text of a single prompt to stdout, unless a
 * JSON document is to be printed.
 */
async function generated({ options, bases, source, signal }: Generation, version: 'old' | 'new'): Promise<Generated> {
  const { loadAdapter } = await import('../../core/formats/peft/peft-adapter.ts');
  const { generateTexts } = await import('../../core/engine/generation/generate-texts.ts');
  const { tokenizePrompts, toRequests } = await import('../models/prompts.ts');
  const { adapter: own, compare, oldAdapter = own, maxNewTokens, stop: stopStrings = [] } = options;
  const [folder, peft] = version === 'old' ? [compare!, oldAdapter] : [options.base, own];
  const base = await bases.load(folder);
  const adapter = peft === undefined ? null : await loadAdapter(peft, base.model.config);
  const prompts = await tokenizePrompts(base, source);
  const requests = toRequests(base, prompts, maxNewTokens);
  if (isDocument(options))
    return { prompts, texts: await generateTexts(base, adapter, requests, { stopStrings, signal }) };
  if (compare !== undefined)
    process.stdout.write(`--- ${version}: ${folder}${peft === undefined ? '' : ` with ${peft}`}\n`);
  const onText = (_: number, piece: string): boolean => process.stdout.write(piece);
  const begun = performance.now();
  const texts = await generateTexts(base, adapter, requests, { stopStrings, signal, onText });
  process.stdout.write('\n');
  const [{ tokenIds, stop }] = texts as [GeneratedText];
  const rate = (tokenIds.length / (performance.now() - begun)) * 1000;
  process.stderr.write(`${stop.replaceAll('_', ' ')} after ${tokenIds.length} tokens (${rate.toFixed(1)} a second)\n`);
  return { prompts, texts };
}

function isDocument({ json, data }: GenerateOptions): boolean {
  return json === true || data !== undefined;
}

/** Prints the generated texts as JSON: a single document for one prompt, or one line for each row of a file. */
function print(options: GenerateOptions, old: Generated | null, found: Generated): void {
  if (!isDocument(options)) return;
  for (const [index, { line, expected }] of found.prompts.entries()) {
    const [before, after] = [old?.texts[index], found.texts[index]!];
    const texts = before
      ? { old: toDocument(before), new: toDocument(after), same: before.text === after.text }
      : toDocument(after);
    const document = options.data === undefined ? texts : { line, ...texts, expected };
    process.stdout.write(`${JSON.stringify(document, null, options.data === undefined ? 2 : 0)}\n`);
  }
}

function toDocument({ text, tokenIds, stop }: GeneratedText) {
  return { text, token_ids: tokenIds, stop };
}
