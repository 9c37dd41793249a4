import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';

/** Place of a text position among the text's tokens. */
export interface TokenBoundary {
  /** Number of tokens that end at or before the position. */
  readonly index: number;
  /** Whether the next token has text on both sides of the position. */
  readonly straddles: boolean;
}

/**
 * Finds the end of a text's beginning among the tokens of the whole text, as the offsets of the reference library give
 * it. The two token lists agree until the following text changes the tokens of the beginning; from there on, tokens are
 * counted by the bytes that they stand for.
 * @param whole tokens of the whole text
 * @param beginning tokens of the beginning alone
 */
export function boundaryIn(
  whole: readonly number[],
  beginning: readonly number[],
  { bytesOf }: Pick<Tokenizer, 'bytesOf'>,
): TokenBoundary {
  let index = 0;
  while (index < beginning.length && whole[index] === beginning[index]) index++;
  if (index === beginning.length) return { index, straddles: false };
  const expected = bytesFrom(beginning, index, Infinity, bytesOf);
  const found = bytesFrom(whole, index, expected.length, bytesOf);
  let left = commonLength(expected, found);
  for (; index < whole.length; index++) {
    const { length } = bytesOf(whole[index]!);
    if (length > left) break;
    left -= length;
  }
  return { index, straddles: left > 0 };
}

/** Bytes of tokens from an index on, until there are `enough`. */
function bytesFrom(ids: readonly number[], start: number, enough: number, bytesOf: Tokenizer['bytesOf']): number[] {
  const bytes: number[] = [];
  for (let i = start; i < ids.length && bytes.length < enough; i++) bytes.push(...bytesOf(ids[i]!));
  return bytes;
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
