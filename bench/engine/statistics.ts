/** Median; the mean of the middle two of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What several rounds gave. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function summarize(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('there are no values to summarize');
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Ours over theirs within each round: what else the machine was doing then met both. */
export function summarizeRatios(ours: readonly number[], theirs: readonly number[]): Summary {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} rounds against ${theirs.length}`);
  return summarize(ours.map((value, round) => value / theirs[round]!));
}
