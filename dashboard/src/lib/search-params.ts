/** What the address says behind `?`, before it is checked. */
export type RawSearch = Record<string, unknown>;

/** A text of the address; undefined if it is missing or empty. Texts that look like numbers are numbers there. */
export function textOf(search: RawSearch, name: string): string | undefined {
  const value = search[name];
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** One of several words; undefined for anything else, so that an old link opens the page as if it had said nothing. */
export function oneOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T | undefined {
  return words.find((word) => word === search[name]);
}

/** Any of several words, of a parameter that holds a list; undefined if none is left. */
export function severalOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T[] | undefined {
  const given: unknown[] = [search[name]].flat();
  const found = words.filter((word) => given.includes(word));
  return found.length === 0 ? undefined : found;
}

/** A whole number from 1; undefined for anything else. */
export function numberOf(search: RawSearch, name: string): number | undefined {
  const value = search[name];
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
