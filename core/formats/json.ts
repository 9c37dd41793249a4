import { quote, shorten } from '../options/quote.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed JSON value is an object, as opposed to a list, null or a scalar. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Bounds of a JSON text, which hold before a value is made of it. */
export interface JsonLimits {
  /** Lists and objects within one another. */
  readonly depth: number;
  /** Keys of one object. */
  readonly keys: number;
  /** Length of a key in the text. */
  readonly keyLength: number;
}

/** Nothing that Readapt reads is nested deeper than a tokenizer.json, which has less than ten levels. */
const MAX_DEPTH = 64;

/** A text that may be JSON but is over a limit. */
export class JsonLimitError extends Error {}

/**
 * `JSON.parse` that also refuses an object with a repeated key, since parsers disagree on which value wins, and a text that
 * is over a limit. All that is found before a value is made, which takes many times the memory of the text.
 * @param limits by default nesting alone is bounded
 * @throws SyntaxError or JsonLimitError with the reason
 */
export function parseStrictJson(text: string, limits: Partial<JsonLimits> = {}): unknown {
  checkKeys(text, { depth: MAX_DEPTH, keys: Infinity, keyLength: Infinity, ...limits });
  return JSON.parse(text);
}

/**
 * Walks text that need not be valid JSON: what is wrong otherwise is left to JSON.parse. The stack holds the keys of each open
 * object, and null for an array.
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

/** The index behind a string's closing quotation mark, or the text's length if there is none. */
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
