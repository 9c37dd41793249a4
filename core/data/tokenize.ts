import { UnknownTokenError, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  readonly config: Pick<ModelConfig, 'maxPositionEmbeddings'>;
  /** Largest number of tokens of prompt and completion together, within the model's maximum. Default: 512. */
  readonly maxLength?: number;
}

const DEFAULT_MAX_LENGTH = 512;

/** A row that cannot be made into tokens. The message names its file and line, and never quotes its text. */
export class TokenizeError extends Error {
  readonly code = 'invalid_dataset';
  readonly badInput = true;

  constructor(where: string, cause: Error) {
    super(`${where}: ${cause.message}`, { cause });
    this.name = 'TokenizeError';
  }
}

/**
 * Makes rows into tokens. If prompt and completion together are too long, the prompt loses its oldest tokens but keeps
 * the special tokens in front, such as a BOS; the completion stays whole.
 * @throws TokenizeError if a prompt or a completion has no tokens, or a completion leaves no room for a prompt token
 */
export function tokenizeRows(rows: readonly ExampleRow[], options: TokenizeOptions): TokenizedExample[] {
  const { tokenizer, config, maxLength = DEFAULT_MAX_LENGTH } = options;
  const limits = {
    maxLength: Math.min(maxLength, config.maxPositionEmbeddings),
    specials: tokenizer.encode('', { addSpecialTokens: true }),
  };
  return rows.map((row, index) => {
    try {
      return tokenizeRow(row, tokenizer, limits);
    } catch (cause) {
      if (cause instanceof RowFault || cause instanceof UnknownTokenError)
        throw new TokenizeError(placeOf(row, index), cause);
      throw cause;
    }
  });
}

/** Returns `train.jsonl: line 12`, or the position in the list for a row that was not read from a file. */
function placeOf({ file, line }: ExampleRow, index: number): string {
  if (line === undefined) return `row ${index + 1}`;
  return file === undefined ? `line ${line}` : `${file}: line ${line}`;
}

/** The problem of a row, without its place. */
class RowFault extends Error {}

interface RowLimits {
  readonly maxLength: number;
  /** The special tokens that every prompt begins with. */
  readonly specials: readonly number[];
}

function tokenizeRow(row: ExampleRow, tokenizer: Tokenizer, { maxLength, specials }: RowLimits): TokenizedExample {
  const completionIds = tokenizer.encode(row.completion, { addSpecialTokens: false });
  if (completionIds.length === 0) throw new RowFault('completion has no tokens, expected at least one');
  const room = maxLength - completionIds.length;
  if (room < 1) {
    throw new RowFault(
      `completion has ${completionIds.length} tokens, expected at most ${maxLength - 1}, which leaves one for the prompt`,
    );
  }
  const promptIds = tokenizer.encode(row.prompt, { addSpecialTokens: true });
  if (promptIds.length === 0) {
    throw new RowFault('prompt has no tokens, expected at least one to predict the completion from');
  }
  return { promptIds: truncateLeft(promptIds, room, specials), completionIds, row };
}

/** Keeps the special tokens that every prompt begins with, and as many of the last tokens as there is room for. */
function truncateLeft(ids: readonly number[], room: number, specials: readonly number[]): readonly number[] {
  if (ids.length <= room) return ids;
  let kept = 0;
  while (kept < specials.length && kept < room - 1 && ids[kept] === specials[kept]) kept++;
  return [...ids.slice(0, kept), ...ids.slice(ids.length - (room - kept))];
}
