import { InvalidArgumentError } from 'commander';

/** Parses a positive integer given as an option of a command. @throws InvalidArgumentError */
export function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError(`expected a positive integer, found "${text}".`);
}
