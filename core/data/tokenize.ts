import { UnknownTokenError, type Tokenizer } from '../formats/tokenizer/tokenizer.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';

export interface TokenizeOptions {
  /** Most tokens of prompt and completion together. */
  readonly maxLength: number;
  /** Append this token to every completion (`append_eos`). Default: none. */
  readonly eosTokenId?: number | null;
}

/** A row that cannot be made into tokens; names its file and line, never quotes its text. */
export class TokenizeError extends Error {
  readonly badInput = true;

  constructor(where: string, cause: Error) {
    super(`${where}: ${cause.message}`, { cause });
    this.name = 'TokenizeError';
  }
}

/**
 * Rows to tokens: the prompt with the tokenizer's own special tokens, the completion without. Where both are longer
 * than `maxLength`, the prompt loses its oldest tokens (a leading BOS stays) and the completion stays whole.
 * @throws TokenizeError where a completion has no token or does not fit, or a prompt has no token to predict from
 */
export function tokenizeExamples(
  rows: readonly ExampleRow[],
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): TokenizedExample[] {
  const specials = tokenizer.encode('', { addSpecialTokens: true });
  return rows.map((row, index) => {
    try {
      return tokenizeRow(row, { ...options, tokenizer, specials });
    } catch (cause) {
      if (cause instanceof RowFault || cause instanceof UnknownTokenError)
        throw new TokenizeError(placeOf(row, index), cause);
      throw cause;
    }
  });
}

/** `train.jsonl: line 12`; the position in the list where a row was not read from a file. */
function placeOf({ file, line }: ExampleRow, index: number): string {
  if (line === undefined) return `row ${index + 1}`;
  return file === undefined ? `line ${line}` : `${file}: line ${line}`;
}

/** What is wrong with a row, wherever it stands. */
class RowFault extends Error {}

interface RowOptions extends TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** What every prompt begins with. */
  readonly specials: readonly number[];
}

function tokenizeRow(row: ExampleRow, options: RowOptions): TokenizedExample {
  const { tokenizer, specials, maxLength, eosTokenId = null } = options;
  const completionIds = tokenizer.encode(row.completion, { addSpecialTokens: false });
  if (completionIds.length === 0) throw new RowFault('completion has no tokens, expected one at least');
  if (eosTokenId !== null) completionIds.push(eosTokenId);
  const room = maxLength - completionIds.length;
  if (room < 1) {
    throw new RowFault(
      `completion has ${completionIds.length} tokens, expected at most ${maxLength - 1} (one for the prompt)`,
    );
  }
  const promptIds = tokenizer.encode(row.prompt, { addSpecialTokens: true });
  if (promptIds.length === 0) {
    throw new RowFault('prompt has no tokens, expected one at least: the first completion token follows it');
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
