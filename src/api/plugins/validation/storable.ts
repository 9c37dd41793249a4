import { Stream } from 'node:stream';

/** Matches texts that PostgreSQL cannot store: with NUL characters or half of a surrogate pair. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

export interface Unstorable {
  /** Member names and indices that lead to the value. */
  path: string[];
  message: string;
}

/**
 * Finds the first value of parsed input that PostgreSQL cannot store. json-structure.ts has bounded the depth and the
 * number of values of a body before it is parsed. Streams are not searched.
 */
export function findUnstorable(input: unknown, path: string[] = []): Unstorable | null {
  if (typeof input === 'string') {
    return UNSTORABLE.test(input) ? { path, message: 'holds a NUL character or half of a surrogate pair' } : null;
  }
  if (typeof input !== 'object' || input === null || input instanceof Stream) return null;
  for (const [name, member] of Object.entries(input)) {
    const found = findUnstorable(member, [...path, name]);
    if (found !== null) return found;
  }
  return null;
}
