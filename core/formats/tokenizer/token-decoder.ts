import { isObject, type JsonObject } from '../json.ts';
import { BYTE_OF } from './token-bytes.ts';

/** Decoding step: maps token texts to other texts, whose concatenation is the result after the last step. */
type DecodeStep = (tokens: readonly string[]) => readonly string[];

const encoder = new TextEncoder();
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/**
 * Makes the `decoder` of a tokenizer.json, which turns tokens into text, from the steps of the reference library
 * (tokenizers 0.23, `src/decoders`). Without a decoder, tokens are joined by spaces.
 * @throws Error for a step that no supported family has
 */
export function tokenDecoder(json: unknown): (tokens: readonly string[]) => string {
  if (json === null || json === undefined) return (tokens) => tokens.join(' ');
  const step = decodeStep(json);
  return (tokens) => step(tokens).join('');
}

function decodeStep(json: unknown): DecodeStep {
  const step: JsonObject = isObject(json) ? json : {};
  switch (step['type']) {
    case 'Sequence': {
      const steps = (step['decoders'] as readonly unknown[]).map(decodeStep);
      return (tokens) => steps.reduce((before, next) => next(before), tokens);
    }
    case 'ByteLevel':
      return (tokens) => [lossy.decode(Uint8Array.from(tokens.flatMap(levelBytes)))];
    case 'ByteFallback':
      return joinByteTokens;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Metaspace':
      return metaspace(step);
    case 'Replace':
      return replace(step);
    case 'Strip':
      return strip(step);
    default:
      throw new Error(`the decoder ${JSON.stringify(step['type'])} is not supported`);
  }
}

/** Converts a byte-level token to bytes. A token with a character that stands for no byte is plain text. */
function levelBytes(token: string): number[] {
  const bytes = Array.from(token, (character) => BYTE_OF.get(character));
  return bytes.includes(undefined) ? [...encoder.encode(token)] : (bytes as number[]);
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * Joins neighboring tokens of single bytes. If the bytes are not valid UTF-8, each of them becomes a replacement
 * character.
 */
function joinByteTokens(tokens: readonly string[]): readonly string[] {
  const joined: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length > 0) joined.push(textOf(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = BYTE_TOKEN.exec(token)?.[1];
    if (byte === undefined) {
      flush();
      joined.push(token);
    } else bytes.push(Number.parseInt(byte, 16));
  }
  flush();
  return joined;
}

function textOf(bytes: readonly number[]): string {
  try {
    return strict.decode(Uint8Array.from(bytes));
  } catch {
    return '\uFFFD'.repeat(bytes.length);
  }
}

/**
 * Makes the step that replaces the character standing for a space (▁) by a space. In the first token it removes that
 * character, if the encoder puts a space at the beginning of every text.
 */
function metaspace(step: JsonObject): DecodeStep {
  const { replacement = '▁', prepend_scheme: scheme } = step as { replacement?: string; prepend_scheme?: string };
  const prepended = scheme === undefined ? step['add_prefix_space'] !== false : scheme !== 'never';
  return (tokens) => tokens.map((token, index) => token.replaceAll(replacement, index === 0 && prepended ? '' : ' '));
}

function replace({ pattern, content }: JsonObject): DecodeStep {
  const { String: text, Regex: expression } = pattern as { readonly String?: string; readonly Regex?: string };
  const from = text ?? new RegExp(expression ?? '', 'gu');
  return (tokens) => tokens.map((token) => token.replaceAll(from, () => String(content)));
}

/** Strips a character up to `start` times from the beginning and `stop` times from the end of each token. */
function strip(step: JsonObject): DecodeStep {
  const { content, start, stop } = step as { content: string; start: number; stop: number };
  return (tokens) =>
    tokens.map((token) => {
      const characters = Array.from(token);
      let [from, to] = [0, characters.length];
      while (from < Math.min(start, to) && characters[from] === content) from++;
      while (characters.length - to < stop && to > from && characters[to - 1] === content) to--;
      return characters.slice(from, to).join('');
    });
}
