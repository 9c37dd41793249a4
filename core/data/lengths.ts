import type { TokenizedExample } from './example.ts';
import { lengthLimit, rowPlace, type TokenizeOptions } from './tokenize.ts';

/** Lengths of rows in tokens, before truncation. */
export interface RowLengths {
  readonly shortest: number;
  readonly median: number;
  /** Length that 95 % of the rows do not exceed, in tokens. */
  readonly p95: number;
  readonly longest: number;
}

/** Largest number of rows that a warning names. */
const NAMED = 5;

/** Number of a row's tokens before truncation. */
export function fullLength({ tokenIds, cut }: TokenizedExample): number {
  return tokenIds.length + (cut?.tokens ?? 0);
}

/** @throws RangeError for no rows */
export function lengthsOf(examples: readonly TokenizedExample[]): RowLengths {
  const lengths = examples.map(fullLength).sort((a, b) => a - b);
  const at = (share: number): number => {
    const length = lengths[Math.ceil(share * lengths.length) - 1];
    if (length === undefined) throw new RangeError('there are no rows, expected at least one');
    return length;
  };
  return { shortest: at(1 / lengths.length), median: at(0.5), p95: at(0.95), longest: at(1) };
}

/**
 * Returns a warning that names the rows longer than the limit and tells how much of them is cut off; null if no row is
 * too long.
 */
export function lengthWarning(
  name: string,
  examples: readonly TokenizedExample[],
  options: Pick<TokenizeOptions, 'config' | 'maxLength'>,
): string | null {
  const long = [...examples.entries()].filter(([, { cut }]) => cut !== undefined);
  if (long.length === 0) return null;
  const limit = lengthLimit(options);
  const places = long.slice(0, NAMED).map(([index, { row }]) => rowPlace(row, index));
  const others = long.length > NAMED ? ` and ${long.length - NAMED} more` : '';
  const turns = long.reduce((total, [, { cut }]) => total + (cut?.turns ?? 0), 0);
  const longest = Math.max(...long.map(([, example]) => fullLength(example)));
  const lost = turns > 0 ? `, with ${turns} earlier turns of the assistant` : '';
  const advice =
    limit < options.config.maxPositionEmbeddings
      ? `a larger max_length keeps them whole (the longest has ${longest} tokens)`
      : `the longest has ${longest} tokens, and the model takes no more than ${limit}`;
  const rows = `${long.length} of ${examples.length} ${name === '' ? '' : `${name} `}rows`;
  const loss = `have more than ${limit} tokens and lose their beginning${lost}`;
  return `${rows} ${loss}: ${places.join(', ')}${others}; ${advice}`;
}
