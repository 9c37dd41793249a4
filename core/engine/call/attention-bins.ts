/**
 * Layout of a flat batch's tokens for attention. Whole sequences are packed one after another into bins of equal
 * length; a mask separates the sequences of one bin.
 */
export interface AttentionBins {
  readonly bins: number;
  /** Length of a bin: that of the longest sequence, rounded up to a whole number of blocks. */
  readonly binLength: number;
  /** [bins · binLength] index in the batch of the token at each place; 0 for an empty place. */
  readonly binTokens: Int32Array;
  /** [bins · binLength] index of the sequence whose token is at each place, from 0; −1 for an empty place. */
  readonly binSequences: Int32Array;
  /** [tokens] place of each token in the bins: bin · binLength + offset. */
  readonly tokenPlaces: Int32Array;
}

/**
 * Packs sequences into bins by first-fit decreasing, which needs at most 11/9 of the fewest possible bins plus 6/9
 * (Dósa 2007). The work and memory of attention grow with bins · binLength².
 * @param sequenceLengths tokens of each sequence, in the batch's order
 * @param blocks number of blocks of equal length in each bin
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

/**
 * Largest number of queries in a block of attention, unless the number of blocks has reached {@link MAX_BLOCKS}.
 * Attention computes the scores of one block at a time: with 9 heads and 2,048 keys, they take 38 MB.
 */
const BLOCK_PLACES = 512;

/**
 * Largest number of blocks of attention. A graph contains the operators of each block, so longer sequences get longer
 * blocks rather than more blocks.
 */
const MAX_BLOCKS = 16;

/**
 * Chooses the number of query blocks of attention from the longest sequence. The number is always a power of two, so
 * that few different numbers occur: each needs programs of its own.
 */
export function attentionBlocks(sequenceLengths: ArrayLike<number>): number {
  const longest = Math.max(...Array.from(sequenceLengths));
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, longest / BLOCK_PLACES)));
  return Math.min(MAX_BLOCKS, needed);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Assigns places to sequences: the longest first, each in the first bin with enough room. */
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

/** Returns the position of each token in its sequence, counted from 0, as an array [tokens]. */
export function positionsOf(sequenceLengths: ArrayLike<number>): Int32Array {
  return Int32Array.from(Array.from(sequenceLengths).flatMap((length) => [...Array(length).keys()]));
}
