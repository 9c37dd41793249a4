import { Stream } from 'node:stream';

/** PostgreSQL cannot store NUL characters or half of a surrogate pair in a text. */
const UNSTORABLE = /\0|\p{Surrogate}/u;

export interface Unstorable {
  /** Names and indices that lead to the value. */
  path: string[];
  message: string;
}

/**
 * Finds the first value of parsed input that cannot be stored. The depth and the number of values of a body are bounded
 * before it is parsed (see json-structure.ts). Bodies that are streams are not searched.
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
