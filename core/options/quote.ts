/** Maximum length of foreign text in a message, in characters. */
const MAX_LENGTH = 120;

/** Truncates foreign text for a message, because a file may hold a name of many megabytes. */
export function shorten(text: string): string {
  if (text.length <= MAX_LENGTH) return text;
  // A cut within a surrogate pair would leave half a character.
  return `${text.slice(0, MAX_LENGTH - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** JSON text of a foreign value, truncated by {@link shorten}. */
export function quote(value: unknown): string {
  return shorten(JSON.stringify(value) ?? 'undefined');
}

/**
 * Replaces characters of foreign text that PostgreSQL cannot store by U+FFFD: NUL characters, and lone surrogates such
 * as truncation leaves.
 */
export function storable(text: string): string {
  return text.replaceAll(/\0|\p{Surrogate}/gu, '\ufffd');
}
