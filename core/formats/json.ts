import { quote, shorten } from '../options/quote.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed JSON value is an object rather than a list, null or a scalar. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Limits of a JSON text, checked before it is parsed. */
export interface JsonLimits {
  /** Largest nesting depth of lists and objects. */
  readonly depth: number;
  /** Largest number of keys in one object. */
  readonly keys: number;
  /** Largest length of a key, in characters as they are written in the text. */
  readonly keyLength: number;
}

/** Default nesting limit. The deepest file that Readapt reads is tokenizer.json, with less than ten levels. */
const MAX_DEPTH = 64;

/** Thrown for a text that exceeds a limit; it may be valid JSON. */
export class JsonLimitError extends Error {}

/**
 * Parses JSON like `JSON.parse`, but refuses two kinds of text: one with a repeated key in an object, because parsers
 * disagree on which value wins, and one that exceeds a limit. Keys and limits are checked before parsing, because the
 * parsed value takes many times the memory of the text.
 * @param limits by default only the nesting is limited
 * @throws SyntaxError or JsonLimitError with the reason
 */
export function parseStrictJson(text: string, limits: Partial<JsonLimits> = {}): unknown {
  checkKeys(text, { depth: MAX_DEPTH, keys: Infinity, keyLength: Infinity, ...limits });
  return JSON.parse(text);
}

/**
 * Checks the keys and limits of a text that need not be valid JSON, because JSON.parse finds all other errors
 * afterwards. A stack holds the keys seen so far in each open object, and null for each open array.
 */
function checkKeys(text: string, limits: JsonLimits): void {
  const open: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(null);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = stringEnd(text, at);
      const keys = open.at(-1);
      if (keys && isKey(text, end)) addKey(keys, text.slice(at, end), limits);
      at = end - 1;
    }
    if (open.length > limits.depth) throw new JsonLimitError(`is nested deeper than ${limits.depth} levels`);
  }
}

function addKey(keys: Set<string>, quoted: string, limits: JsonLimits): void {
  if (quoted.length - 2 > limits.keyLength) {
    const found = `has a key of ${quoted.length - 2} characters ("${shorten(quoted.slice(1, -1))}")`;
    throw new JsonLimitError(`${found}, expected at most ${limits.keyLength}`);
  }
  const key = JSON.parse(quoted) as string;
  if (keys.has(key)) throw new SyntaxError(`key ${quote(key)} is given twice`);
  if (keys.size >= limits.keys) throw new JsonLimitError(`has more than ${limits.keys} keys in one object`);
  keys.add(key);
}

/** Returns the index after a string's closing quotation mark, or the text's length if there is none. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, text.length);
}

function isKey(text: string, afterString: number): boolean {
  let at = afterString;
  while (/\s/.test(text[at] ?? '')) at++;
  return text[at] === ':';
}
