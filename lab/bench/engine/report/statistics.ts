export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice((sorted.length - 1) >> 1, (sorted.length >> 1) + 1);
  return sum(middle) / middle.length;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * Returns the share of places at which two lists of texts have the same token.
 * @throws RangeError if texts are missing or of different lengths
 */
export function shareOfEqual(ours: readonly (readonly number[])[], theirs: readonly (readonly number[])[]): number {
  const lengths = (texts: typeof ours) => texts.map(({ length }) => length).join(', ');
  if (lengths(ours) !== lengths(theirs))
    throw new RangeError(`found texts of ${lengths(ours)} tokens against ${lengths(theirs)}, expected the same`);
  const other = theirs.flat();
  return sum(ours.flat().map((id, i) => (id === other[i] ? 1 : 0))) / other.length;
}

/** Median and range of a figure over the rounds. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @throws RangeError if there are no values */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('found no values to summarize, expected at least one');
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * Summarizes the ratios `ours / theirs` of each round. A ratio within a round cancels other load on the machine.
 * @throws RangeError if the numbers of rounds differ
 */
export function summarizeRatios(ours: readonly number[], theirs: readonly number[]): Summary {
  if (ours.length !== theirs.length)
    throw new RangeError(`found ${ours.length} rounds against ${theirs.length}, expected as many of either side`);
  return summarize(ours.map((value, round) => value / theirs[round]!));
}
