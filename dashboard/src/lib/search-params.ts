/** Search parameters of an address before validation. */
export type RawSearch = Record<string, unknown>;

/** Text parameter; undefined if missing or empty. The router parses text that looks like a number as a number. */
export function textOf(search: RawSearch, name: string): string | undefined {
  const value = search[name];
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * Parameter with one of the allowed words. Anything else is undefined, so that an outdated link still opens the page.
 */
export function oneOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T | undefined {
  return words.find((word) => word === search[name]);
}

/** List parameter, reduced to the allowed words and put in their order; undefined if none is left. */
export function severalOf<T extends string>(search: RawSearch, name: string, words: readonly T[]): T[] | undefined {
  const given: unknown[] = [search[name]].flat();
  const found = words.filter((word) => given.includes(word));
  return found.length === 0 ? undefined : found;
}

/** Parameter with a whole number from 1 on; undefined for anything else. */
export function numberOf(search: RawSearch, name: string): number | undefined {
  const value = search[name];
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
