/** Mean and standard deviation over seeds (n − 1; null of a single one). */
export interface Spread {
  readonly mean: number;
  readonly deviation: number | null;
  readonly count: number;
}

/** @returns null of no values */
export function spread(values: readonly number[]): Spread | null {
  const count = values.length;
  if (count === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null, count };
}

/** Share of the rows that `old` had right and `now` has wrong; null where the metric says nothing of rows. */
export function negativeFlips(old: string | null, now: string | null): number | null {
  if (old === null || now === null) return null;
  if (old.length !== now.length)
    throw new RangeError(`${now.length} rows, expected the ${old.length} of the old version`);
  return [...old].filter((one, i) => one === '1' && now[i] === '0').length / old.length;
}
