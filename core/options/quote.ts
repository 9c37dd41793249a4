/** Longest piece of a foreign text that a message repeats, in characters. */
const LONGEST = 120;

/** Cuts a name or text of somebody else's for a message, because a file may hold one of many megabytes. */
export function shorten(text: string): string {
  if (text.length <= LONGEST) return text;
  // A cut within a surrogate pair would leave half a character.
  return `${text.slice(0, LONGEST - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** The JSON text of a value of somebody else's, cut as {@link shorten} does. */
export function quote(value: unknown): string {
  return shorten(JSON.stringify(value) ?? 'undefined');
}

/** Puts U+FFFD in the place of what PostgreSQL cannot store of a foreign text: NUL characters, and halves of characters, such as a cut leaves. */
export function storable(text: string): string {
  return text.replaceAll(/\0|\p{Surrogate}/gu, '\ufffd');
}
