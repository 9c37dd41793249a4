import { isObject } from '../json.ts';

/** Spelling of a token in the vocabulary, which may stand for other text. */
interface TokenSpelling {
  readonly text: string;
  /** Whether the token was added to the vocabulary as a whole; its text is then its spelling. */
  readonly added: boolean;
}

const encoder = new TextEncoder();

/** Matches the tokens of single bytes in a vocabulary with byte fallback: `<0x0A>`. */
const BYTE_TOKEN = /^<0x([0-9A-F]{2})>$/;

/**
 * Returns a function from a token to the UTF-8 bytes of its text. Byte-level vocabularies spell each byte as one
 * character; others spell a space as ▁ and may have tokens for single bytes.
 * @param json content of tokenizer.json
 */
export function tokenBytes(json: unknown, spellingOf: (id: number) => TokenSpelling): (id: number) => Uint8Array {
  const isByteLevel = hasStep(json, 'ByteLevel');
  return (id) => {
    const { text, added } = spellingOf(id);
    if (added) return encoder.encode(text);
    if (isByteLevel) return Uint8Array.from(text, (character) => BYTE_OF.get(character) ?? 0);
    const byte = BYTE_TOKEN.exec(text)?.[1];
    return byte === undefined ? encoder.encode(text.replaceAll('▁', ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
  };
}

/** Whether the decoder or the pre-tokenizer of a tokenizer.json is a step of the given type or contains one. */
function hasStep(json: unknown, type: string): boolean {
  if (Array.isArray(json)) return json.some((step) => hasStep(step, type));
  if (!isObject(json)) return false;
  return json['type'] === type || STEPS.some((field) => hasStep(json[field], type));
}

const STEPS = ['decoder', 'pre_tokenizer', 'decoders', 'pretokenizers'] as const;

/**
 * Byte of each character of a byte-level vocabulary. Printable bytes of Latin-1 stand for themselves; the others
 * follow, in order, from U+0100 on (`bytes_to_unicode` of GPT-2).
 */
export const BYTE_OF: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) map.set(String.fromCharCode(printable(byte) ? byte : next++), byte);
  return map;
})();
