export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice((sorted.length - 1) >> 1, (sorted.length >> 1) + 1);
  return sum(middle) / middle.length;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The results of several rounds. */
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
 * Summarizes the ratios `ours / theirs` of each round. Ratios within a round cancel whatever else the machine did then.
 * @throws RangeError if the numbers of rounds differ
 */
export function summarizeRatios(ours: readonly number[], theirs: readonly number[]): Summary {
  if (ours.length !== theirs.length)
    throw new RangeError(`found ${ours.length} rounds against ${theirs.length}, expected as many of either side`);
  return summarize(ours.map((value, round) => value / theirs[round]!));
}
