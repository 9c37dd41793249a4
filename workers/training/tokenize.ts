import type { Tokenizer } from '../formats/tokenizer.ts';
import type { ExampleRow, TokenizedExample } from './example.ts';

export interface TokenizeOptions {
  /** Most tokens of prompt and completion together. */
  readonly maxLength: number;
  /** Append this token to every completion (`append_eos`). Default: none. */
  readonly eosTokenId?: number | null;
}

/** A row that cannot be made into tokens; never quotes its text. */
export class TokenizeError extends Error {
  /** Position in the list of rows, from 0. */
  readonly index: number;

  constructor(index: number, message: string) {
    super(`row ${index + 1}: ${message}`);
    this.name = 'TokenizeError';
    this.index = index;
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
  return rows.map((row, index) => tokenizeRow(row, index, { ...options, tokenizer, specials }));
}

interface RowOptions extends TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** What every prompt begins with. */
  readonly specials: readonly number[];
}

function tokenizeRow(row: ExampleRow, index: number, options: RowOptions): TokenizedExample {
  const { tokenizer, specials, maxLength, eosTokenId = null } = options;
  const completionIds = tokenizer.encode(row.completion, { addSpecialTokens: false });
  if (completionIds.length === 0) throw new TokenizeError(index, 'completion has no tokens');
  if (eosTokenId !== null) completionIds.push(eosTokenId);
  const room = maxLength - completionIds.length;
  if (room < 1) {
    const message = `completion has ${completionIds.length} tokens, expected at most ${maxLength - 1} (one for the prompt)`;
    throw new TokenizeError(index, message);
  }
  const promptIds = tokenizer.encode(row.prompt, { addSpecialTokens: true });
  if (promptIds.length === 0) {
    throw new TokenizeError(index, 'prompt has no tokens, expected one at least: the first completion token follows it');
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
