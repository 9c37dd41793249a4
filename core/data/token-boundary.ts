import type { Tokenizer } from '../formats/tokenizer/tokenizer.ts';

/** Place among a text's tokens that belongs to a position in the text, such as the end of the prompt. */
export interface TokenBoundary {
  /** Number of tokens that end at or before this position. */
  readonly index: number;
  /** Whether the next token covers text on both sides of the position. */
  readonly straddles: boolean;
}

/**
 * Finds the place among a text's tokens where the text's beginning, such as a prompt, ends. The result agrees with the
 * character offsets of Hugging Face's tokenizers. Beginning and whole text have the same first tokens until the
 * following text changes them; from there on, the place is found by the bytes that the tokens stand for.
 * @param whole ids of the tokens of the whole text
 * @param beginning ids of the tokens of its beginning, tokenized alone
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

/** Returns the bytes that tokens stand for, from the token at `start` on, until there are at least `enough` bytes. */
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
