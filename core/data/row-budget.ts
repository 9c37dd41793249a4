import { Random } from '../statistics/random.ts';
import { labelCount, type ExampleRow, type TokenizedExample } from './example.ts';
import { tokenizeRows, type TokenizeOptions } from './tokenize.ts';

/** Largest cost of measuring an adapter once on the rows of a split. */
export interface RowBudget {
  /** Largest number of tokens, including generated ones. */
  readonly tokens: number;
  /**
   * Largest number of tokens generated for a row; 0 means the length of the longest completion. Default: none, because
   * the metric needs no generated texts.
   */
  readonly generated?: number | undefined;
}

/** Number of rows that are tokenized at a time, until the budget is used up. */
const PIECE = 256;

/** Seed of the random sample of rows. */
const SEED = 20_26;

/**
 * Tokenizes as many rows as fit into the budget, but at least one. If not all of them fit, the rows are a random
 * sample, which is the same in every run. The result is in the order of the rows. Rows are tokenized piece by piece, so
 * that most of those left out are not tokenized.
 * @throws TokenizeError, NoEndOfTextError
 */
export function tokenizeWithin(
  rows: readonly ExampleRow[],
  options: TokenizeOptions,
  { tokens, generated }: RowBudget,
): TokenizedExample[] {
  const order = Random.fromSeed(SEED).shuffle([...rows.keys()]);
  const chosen: { index: number; example: TokenizedExample }[] = [];
  let read = 0;
  let longest = 0;
  for (let from = 0; from < order.length; from += PIECE) {
    const piece = order.slice(from, from + PIECE).sort((a, b) => a - b);
    const examples = tokenizeRows(
      piece.map((index) => rows[index]!),
      options,
    );
    for (const [place, example] of examples.entries()) {
      read += example.tokenIds.length;
      longest = Math.max(longest, labelCount(example));
      const written = generated === undefined ? 0 : (chosen.length + 1) * (generated || longest);
      if (read + written > tokens && chosen.length > 0) return inOrder(chosen);
      chosen.push({ index: piece[place]!, example });
    }
  }
  return inOrder(chosen);
}

function inOrder(chosen: { index: number; example: TokenizedExample }[]): TokenizedExample[] {
  return chosen.sort((a, b) => a.index - b.index).map(({ example }) => example);
}
