import { InvalidArgumentError } from 'commander';

/** Parses a positive integer, as an option of a benchmark gives it. */
export function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a positive integer, found "${text}".`);
}
