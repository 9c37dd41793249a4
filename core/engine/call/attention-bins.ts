/**
 * Where attention computes the tokens of a flat batch: sequences lie one behind the other in bins of equal length, each
 * whole, and a mask keeps those of a bin apart.
 */
export interface AttentionBins {
  readonly bins: number;
  /** That of the longest sequence. */
  readonly binLength: number;
  /** [bins · binLength] the token at each place; 0 where there is none. */
  readonly binTokens: Int32Array;
  /** [bins · binLength] the sequence of that token, from 0; −1 where there is none. */
  readonly binSequences: Int32Array;
  /** [tokens] the place of each token, bin · binLength + offset. */
  readonly tokenPlaces: Int32Array;
}

/**
 * Packs sequences into as few bins as first-fit decreasing finds (at most 11/9 of the fewest and 6/9, Dósa 2007). Work
 * and memory of attention are those of the bins: bins · binLength².
 * @param sequenceLengths tokens of each sequence, in the order in which they follow each other in the batch
 */
export function packIntoBins(sequenceLengths: ArrayLike<number>): AttentionBins {
  const lengths = Array.from(sequenceLengths);
  const binLength = Math.max(...lengths);
  const starts = firstFit(lengths, binLength);
  const bins = 1 + Math.max(...starts.map((start) => Math.floor(start / binLength)));
  const binTokens = new Int32Array(bins * binLength);
  const binSequences = new Int32Array(bins * binLength).fill(-1);
  const tokenPlaces = new Int32Array(lengths.reduce((total, length) => total + length, 0));
  let token = 0;
  lengths.forEach((length, sequence) => {
    for (let place = starts[sequence]!; place < starts[sequence]! + length; place++) {
      binTokens[place] = token;
      binSequences[place] = sequence;
      tokenPlaces[token++] = place;
    }
  });
  return { bins, binLength, binTokens, binSequences, tokenPlaces };
}

/** Of each sequence, the place of its first token. */
function firstFit(lengths: readonly number[], binLength: number): number[] {
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const filled: number[] = [];
  const starts: number[] = [];
  for (const sequence of order) {
    const length = lengths[sequence]!;
    const fitting = filled.findIndex((used) => used + length <= binLength);
    const bin = fitting === -1 ? filled.push(0) - 1 : fitting;
    starts[sequence] = bin * binLength + filled[bin]!;
    filled[bin] = filled[bin]! + length;
  }
  return starts;
}

/** [tokens] the position of each token in its sequence, from 0. */
export function positionsOf(sequenceLengths: ArrayLike<number>): Int32Array {
  return Int32Array.from(Array.from(sequenceLengths).flatMap((length) => [...Array(length).keys()]));
}
