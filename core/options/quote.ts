/** Largest number of characters of text from outside that a message quotes. */
const MAX_LENGTH = 120;

/** Cuts text from outside to the length that a message may quote, because a file may hold a name of many megabytes. */
export function shorten(text: string): string {
  if (text.length <= MAX_LENGTH) return text;
  // A cut within a surrogate pair would leave half a character.
  return `${text.slice(0, MAX_LENGTH - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Returns a value from outside as JSON text, cut by {@link shorten}. */
export function quote(value: unknown): string {
  return shorten(JSON.stringify(value) ?? 'undefined');
}

/**
 * Replaces the characters that PostgreSQL cannot store in text by U+FFFD: NUL, and halves of surrogate pairs, which
 * remain when text is cut.
 */
export function storable(text: string): string {
  return text.replaceAll(/\0|\p{Surrogate}/gu, '\ufffd');
}
