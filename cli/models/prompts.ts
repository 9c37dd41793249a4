import { answerOf } from '../../core/data/evaluation/generated-answers.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import type { GenerationRequest } from '../../core/engine/generation/greedy.ts';
import { UsageError } from '../process/errors.ts';
import { loadPromptsOf } from './loaded-bases.ts';

/** Prompt as token ids of a base's tokenizer. */
export interface Prompt {
  readonly promptIds: readonly number[];
  /** Line number of the prompt's row in its file; absent for a prompt that does not come from a file. */
  readonly line?: number;
  /** Completion that the row expects; absent if the row is a prompt alone. */
  readonly expected?: string;
}

/** Source of prompts: a text, or a JSONL file of rows. */
export type PromptSource = { readonly prompt: string } | { readonly data: string };

/** Largest prompt that is read from stdin, in bytes. */
const MAX_BYTES = 1 << 20;

/**
 * Chooses the source of prompts: `--prompt`, `--data`, or the text on stdin without its last line feed.
 * @throws UsageError if both or neither are given, or stdin has no text or too much
 */
export async function promptSource(options: {
  readonly prompt?: string;
  readonly data?: string;
}): Promise<PromptSource> {
  const { prompt, data } = options;
  if (prompt !== undefined && data !== undefined) {
    throw new UsageError('--prompt and --data exclude each other: give one of them');
  }
  if (data !== undefined) return { data };
  return { prompt: prompt ?? (await readStdin()) };
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) throw new UsageError('there is no prompt: give --prompt, --data or a text on stdin');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new UsageError(`the prompt on stdin is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) throw new UsageError('stdin is empty, expected a prompt: give --prompt, --data or a text on stdin');
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/**
 * Turns prompts into token ids by a base's tokenizer. A prompt that is a row of a dataset is cut to the same length as
 * in evaluation.
 */
export async function tokenizePrompts(base: LoadedBase, source: PromptSource): Promise<Prompt[]> {
  if ('prompt' in source) return [{ promptIds: base.tokenizer.encode(source.prompt) }];
  return (await loadPromptsOf(base, source.data)).map((example): Prompt => {
    const { promptIds, reference: expected } = answerOf(example);
    const { line } = example.row;
    const isAnswered = example.labelSpans.length > 0;
    return { promptIds, ...(isAnswered && { expected }), ...(line !== undefined && { line }) };
  });
}

/**
 * Builds requests to generate at most `maxNewTokens` tokens each, or fewer if the base does not support as many
 * positions.
 * @throws UsageError for a prompt without tokens, or one that leaves no room for a token
 */
export function toRequests(
  { model: { config }, folder }: LoadedBase,
  prompts: readonly Prompt[],
  maxNewTokens: number,
): GenerationRequest[] {
  return prompts.map(({ promptIds }) => {
    const room = config.maxPositionEmbeddings - promptIds.length;
    if (promptIds.length === 0) throw new UsageError(`the prompt has no tokens for ${folder}, expected at least one`);
    if (room >= 1) return { promptIds, maxNewTokens: Math.min(maxNewTokens, room) };
    throw new UsageError(
      `the prompt has ${promptIds.length} tokens, expected at most ${config.maxPositionEmbeddings - 1}: ` +
        `${folder} knows ${config.maxPositionEmbeddings} positions (max_position_embeddings)`,
    );
  });
}
