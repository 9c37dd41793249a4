import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../core/statistics/random.ts';
import { TextStream } from '../../../core/formats/tokenizer/text-stream.ts';
import { createTokenizer, loadTokenizer, type Tokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { GOLDEN } from './support/folders.ts';

interface Cases {
  readonly encode: readonly { ids: number[]; decoded: string; decoded_without_special: string }[];
  readonly decode: readonly { ids: number[]; decoded: string }[];
}

const CASES = JSON.parse(readFileSync(join(GOLDEN, 'tokenizer/cases.json'), 'utf8')) as Cases;

describe('decode', async () => {
  const tokenizer = await loadTokenizer(join(GOLDEN, 'tokenizer'));

  it.each(CASES.encode)('gives $decoded', ({ ids, decoded, decoded_without_special }) => {
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(decoded_without_special);
  });

  it.each(CASES.decode)('gives replacement characters for what is no UTF-8: $ids', ({ ids, decoded }) => {
    expect(tokenizer.decode(ids)).toBe(decoded);
  });

  it('gives no text for ids that the vocabulary lacks', () => {
    const [id] = tokenizer.encode('a');
    expect(tokenizer.decode([id!, 512, 9999, id!])).toBe('aa');
    expect(tokenizer.decode([])).toBe('');
  });
});

const SENTENCE_PIECE = [
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
  { type: 'Strip', content: ' ', start: 1, stop: 0 },
];

/** A tokenizer with words, a space and all bytes. */
function withDecoder(decoder: unknown): Tokenizer {
  const bytes = [...Array(256).keys()].map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const vocab = Object.fromEntries(['▁a', '▁', 'b', '▁▁', '</s>', ...bytes].map((token, id) => [token, id]));
  return createTokenizer({
    version: '1.0',
    truncation: null,
    padding: null,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    added_tokens: [
      { id: 4, content: '</s>', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
    ],
    decoder,
    model: { type: 'BPE', vocab, merges: [], unk_token: null, byte_fallback: true, fuse_unk: false },
  });
}
const byte = (value: number) => 5 + value;

// Results of tokenizers 0.23.3: Tokenizer(BPE(...)) with that decoder.
describe('the decoders of SentencePiece-like tokenizers', () => {
  it.each([
    [[0, 2, 0], 'ab a'],
    [[1, 0, 2], ' ab'],
    [[3, 2, 4, 0], ' b</s> a'],
    [[0, byte(0xe4), byte(0xbd), byte(0xa0), 2], 'a你b'],
    [[0, byte(0xe4), byte(0xbd), 2], 'a\uFFFD\uFFFDb'],
    [[byte(0x41), byte(0xff), byte(0x42)], '\uFFFD\uFFFD\uFFFD'],
  ])('decode %j', (ids, text) => {
    expect(withDecoder({ type: 'Sequence', decoders: SENTENCE_PIECE }).decode(ids)).toBe(text);
  });

  it.each([
    [{ type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }, 'ab a'],
    [{ type: 'Metaspace', replacement: '▁', prepend_scheme: 'never', split: false }, ' ab a'],
    [{ type: 'Metaspace', replacement: '▁', add_prefix_space: true }, 'ab a'],
    [null, '▁a b ▁a'],
  ])('%j', (decoder, text) => {
    expect(withDecoder(decoder).decode([0, 2, 0])).toBe(text);
  });

  it('refuses a decoder that it does not know, when it is needed', () => {
    const tokenizer = withDecoder({ type: 'WordPiece', prefix: '##' });
    expect(tokenizer.encode('b')).toEqual([2]);
    expect(() => tokenizer.decode([2])).toThrow(
      'cannot turn tokens into text: the decoder "WordPiece" is not supported',
    );
  });
});

describe('TextStream', async () => {
  const byteLevel = await loadTokenizer(join(GOLDEN, 'tokenizer'));
  const sentencePiece = withDecoder({ type: 'Sequence', decoders: SENTENCE_PIECE });

  it.each([
    ['byte-level', byteLevel, byteLevel.encode('Zażółć gęślą jaźń 你好 👩‍🚀 done<|im_end|> x')],
    ['with byte fallback', sentencePiece, [0, 1, 0, 2, byte(0xe4), byte(0xbd), byte(0xa0), 3, 2, 4, 0]],
  ])('gives pieces that make up the text: %s', (_, tokenizer, ids) => {
    for (const skipSpecialTokens of [true, false]) {
      const stream = new TextStream(tokenizer, { skipSpecialTokens });
      const pieces = ids.map((id) => stream.push(id));
      expect([...pieces, stream.end()].join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
      expect(pieces.some((piece) => piece.includes('\uFFFD'))).toBe(false);
      expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(4);
    }
  });

  it('hands out at its end what is no whole character, and makes up the text of random tokens', () => {
    const random = Random.fromSeed(3);
    for (let trial = 0; trial < 200; trial++) {
      const ids = Array.from({ length: 12 }, () => random.integer(512));
      const stream = new TextStream(byteLevel);
      expect([...ids.map((id) => stream.push(id)), stream.end()].join('')).toBe(byteLevel.decode(ids));
    }
  });
});
