import { Stream } from 'node:stream';

/** PostgreSQL cannot store NUL characters or half of a surrogate pair in a text. */
const UNSTORABLE = /\0|\p{Surrogate}/u;
const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;

export interface Unstorable {
  /** Names and indices that lead to the value. */
  path: string[];
  message: string;
}

/**
 * Finds the first value of parsed input that cannot be stored, is nested deeper than 32 levels or comes after 10,000
 * others; no request needs that many. Bodies that are streams are not searched.
 */
export function findUnstorable(input: unknown): Unstorable | null {
  let values = 0;
  const search = (value: unknown, path: string[]): Unstorable | null => {
    if (++values > MAX_VALUES) return { path: [], message: `has more than ${MAX_VALUES} values, expected fewer` };
    if (typeof value === 'string') {
      return UNSTORABLE.test(value) ? { path, message: 'holds a NUL character or half of a surrogate pair' } : null;
    }
    if (typeof value !== 'object' || value === null || value instanceof Stream) return null;
    if (path.length >= MAX_DEPTH)
      return { path: path.slice(0, 1), message: `is nested deeper than ${MAX_DEPTH} levels` };
    for (const [name, member] of Object.entries(value)) {
      const found = search(member, [...path, name]);
      if (found !== null) return found;
    }
    return null;
  };
  return search(input, []);
}
