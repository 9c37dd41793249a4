/**
 * The places at which attention computes the tokens of a flat batch. Sequences lie one behind the other, each whole, in bins of equal
 * length; a mask keeps the sequences of one bin apart.
 */
export interface AttentionBins {
  readonly bins: number;
  /** The length of the longest sequence, rounded up to a whole number of blocks. */
  readonly binLength: number;
  /** [bins · binLength] the token at each place; 0 where there is none. */
  readonly binTokens: Int32Array;
  /** [bins · binLength] the sequence of that token, from 0; −1 where there is none. */
  readonly binSequences: Int32Array;
  /** [tokens] the place of each token, bin · binLength + offset. */
  readonly tokenPlaces: Int32Array;
}

/**
 * Packs sequences into bins by first-fit decreasing, which needs at most 11/9 of the fewest possible and 6/9 (Dósa 2007).
 * The work and memory of attention grow with bins · binLength².
 * @param sequenceLengths tokens of each sequence, in the batch's order
 * @param blocks number of blocks of equal length that each bin consists of
 */
export function packIntoBins(sequenceLengths: ArrayLike<number>, blocks = 1): AttentionBins {
  const lengths = Array.from(sequenceLengths);
  const binLength = blocks * Math.ceil(Math.max(...lengths) / blocks);
  const { bins, ranges } = firstFit(lengths, binLength);
  const binTokens = new Int32Array(bins * binLength);
  const binSequences = new Int32Array(bins * binLength).fill(-1);
  const tokenPlaces = new Int32Array(lengths.reduce((total, length) => total + length, 0));
  let token = 0;
  for (const [sequence, { start, end }] of ranges.entries()) {
    for (let place = start; place < end; place++) {
      binTokens[place] = token;
      binSequences[place] = sequence;
      tokenPlaces[token++] = place;
    }
  }
  return { bins, binLength, binTokens, binSequences, tokenPlaces };
}

/** Longest block of queries whose scores attention computes at once: 9 heads with 2,048 keys take 38 MB. */
const BLOCK_PLACES = 512;

/** A graph has the operators of each block, so that there are only so many; longer sequences have longer blocks. */
const MOST_BLOCKS = 16;

/**
 * Chooses the number of blocks of queries that attention is computed in, a power of two, by the longest sequence. Few
 * numbers are possible, since each needs programs of its own.
 */
export function attentionBlocks(sequenceLengths: ArrayLike<number>): number {
  const longest = Math.max(...Array.from(sequenceLengths));
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, longest / BLOCK_PLACES)));
  return Math.min(MOST_BLOCKS, needed);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Chooses the places of each sequence: the longest first, each in the first bin with enough room. */
function firstFit(lengths: readonly number[], binLength: number): { bins: number; ranges: Range[] } {
  const filled: number[] = [];
  const ranges: Range[] = [];
  for (const [sequence, length] of [...lengths.entries()].sort(([i, a], [j, b]) => b - a || i - j)) {
    const fitting = filled.findIndex((used) => used + length <= binLength);
    const bin = fitting === -1 ? filled.length : fitting;
    const used = filled[bin] ?? 0;
    filled[bin] = used + length;
    ranges[sequence] = { start: bin * binLength + used, end: bin * binLength + used + length };
  }
  return { bins: filled.length, ranges };
}

/** [tokens] the position of each token in its sequence, from 0. */
export function positionsOf(sequenceLengths: ArrayLike<number>): Int32Array {
  return Int32Array.from(Array.from(sequenceLengths).flatMap((length) => [...Array(length).keys()]));
}
