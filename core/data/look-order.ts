import { Random } from '../statistics/random.ts';

/** Seed of the order of the gate rows. Any value would do, but all versions must be measured in the same order. */
const SEED = 1;

/**
 * Sorts gate rows in the random order in which every version is measured on them. Datasets may be sorted by topic, and
 * a measurement that ends early needs first rows that represent all rows.
 */
export function inLookOrder<T>(rows: readonly T[]): T[] {
  return lookOrder(rows.length).map((row) => rows[row]!);
}

/** Sorts gate rows, or their outcomes, back into the order of the file. */
export function inFileOrder<T>(rows: readonly T[]): T[] {
  const sorted = new Array<T>(rows.length);
  lookOrder(rows.length).forEach((row, place) => (sorted[row] = rows[place]!));
  return sorted;
}

function lookOrder(rows: number): number[] {
  return Random.fromSeed(SEED).shuffle(Array.from({ length: rows }, (_, row) => row));
}
