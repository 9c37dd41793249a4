/**
 * Where attention computes the tokens of a flat batch: sequences lie one behind the other in slots of equal length, each
 * whole, and a mask keeps those of a slot apart.
 */
export interface AttentionSlots {
  readonly slots: number;
  /** That of the longest sequence. */
  readonly slotLength: number;
  /** [slots · slotLength] the token at each place; 0 where there is none. */
  readonly slotTokens: Int32Array;
  /** [slots · slotLength] the sequence of that token, from 0; −1 where there is none. */
  readonly slotSequences: Int32Array;
  /** [tokens] the place of each token, slot · slotLength + offset. */
  readonly tokenSlots: Int32Array;
}

/**
 * Packs sequences into as few slots as first-fit decreasing finds (at most 11/9 of the fewest and 6/9, Dósa 2007). Work
 * and memory of attention are those of the slots: slots · slotLength².
 * @param sequenceLengths tokens of each sequence, in the order in which they follow each other in the batch
 */
export function packIntoSlots(sequenceLengths: ArrayLike<number>): AttentionSlots {
  const lengths = Array.from(sequenceLengths);
  const slotLength = Math.max(...lengths);
  const starts = firstFit(lengths, slotLength);
  const slots = 1 + Math.max(...starts.map((start) => Math.floor(start / slotLength)));
  const slotTokens = new Int32Array(slots * slotLength);
  const slotSequences = new Int32Array(slots * slotLength).fill(-1);
  const tokenSlots = new Int32Array(lengths.reduce((total, length) => total + length, 0));
  let token = 0;
  lengths.forEach((length, sequence) => {
    for (let place = starts[sequence]!; place < starts[sequence]! + length; place++) {
      slotTokens[place] = token;
      slotSequences[place] = sequence;
      tokenSlots[token++] = place;
    }
  });
  return { slots, slotLength, slotTokens, slotSequences, tokenSlots };
}

/** Of each sequence, the place of its first token. */
function firstFit(lengths: readonly number[], slotLength: number): number[] {
  const order = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const filled: number[] = [];
  const starts: number[] = [];
  for (const sequence of order) {
    const length = lengths[sequence]!;
    const fitting = filled.findIndex((used) => used + length <= slotLength);
    const slot = fitting === -1 ? filled.push(0) - 1 : fitting;
    starts[sequence] = slot * slotLength + filled[slot]!;
    filled[slot] = filled[slot]! + length;
  }
  return starts;
}

/** [tokens] the position of each token in its sequence, from 0. */
export function positionsOf(sequenceLengths: ArrayLike<number>): Int32Array {
  return Int32Array.from(Array.from(sequenceLengths).flatMap((length) => [...Array(length).keys()]));
}
