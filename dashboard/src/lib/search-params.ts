/** Search parameters of a page's address (after the `?`), before their values are checked. */
export type RawSearch = Record<string, unknown>;

/**
 * Reads a parameter as text; undefined if missing or empty. The router has already parsed text that looks like a
 * number.
 */
export function textOf(search: RawSearch, name: string): string | undefined {
  const value = search[name];
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Reads a parameter that must be one of the allowed words. Any other text gives undefined, so that an outdated link
 * still opens the page.
 */
export function oneOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T | undefined {
  return words.find((word) => word === search[name]);
}

/**
 * Reads a parameter that is a list of allowed words, and returns them in their usual order; undefined if none is left.
 */
export function severalOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T[] | undefined {
  const given: unknown[] = [search[name]].flat();
  const found = words.filter((word) => given.includes(word));
  return found.length === 0 ? undefined : found;
}

/** Reads a parameter that is a whole number from 1 on; undefined for anything else. */
export function numberOf(search: RawSearch, name: string): number | undefined {
  const value = search[name];
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
