import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTokenizer, loadTokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { GOLDEN, readJson, temporaryFolder } from './support/folders.ts';

interface Cases {
  readonly encode: readonly { readonly text: string; readonly ids: number[] }[];
}

const CASES = JSON.parse(readFileSync(join(GOLDEN, 'tokenizer/cases.json'), 'utf8')) as Cases;

// The same tokenizer with merges spelled as pairs and as strings.
describe.each(['tokenizer', 'llama-gqa-tied/base'])('tokenizer.json of %s', async (folder) => {
  const tokenizer = await loadTokenizer(join(GOLDEN, folder));

  it.each(CASES.encode)('encodes $text', ({ text, ids }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
  });

  it('knows its size', () => {
    expect(tokenizer.vocabSize).toBe(512);
  });
});

it('adds its own special tokens only where asked', async () => {
  const json = await readJson(join(GOLDEN, 'tokenizer/tokenizer.json'));
  const template = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const tokenizer = createTokenizer({
    ...json,
    post_processor: {
      type: 'TemplateProcessing',
      single: [template('<|im_start|>'), { Sequence: { id: 'A', type_id: 0 } }],
      pair: [template('<|im_start|>'), { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<|im_start|>': { id: '<|im_start|>', ids: [1], tokens: ['<|im_start|>'] } },
    },
  });
  const plain = tokenizer.encode('some text', { addSpecialTokens: false });
  expect(tokenizer.encode('some text')).toEqual([1, ...plain]);
  expect(tokenizer.encode('')).toEqual([1]);
});

describe('splitting rules', async () => {
  const json = await readJson(join(GOLDEN, 'tokenizer/tokenizer.json'));

  // Results of tokenizers 0.23.3. JavaScript's \s and \d differ from Unicode's white space and digits.
  it.each([
    ['a \ufeff\ufeffb', [67, 223, 174, 122, 126, 174, 122, 126, 68]],
    ['\ufeff a', [174, 122, 126, 261]],
    ['a\u0085\u0085b', [67, 129, 230, 129, 230, 68]],
    ['x٣५Ⅷ½', [90, 152, 99, 159, 101, 107, 161, 230, 103, 129, 124]],
  ])('encodes %j', (text, ids) => {
    expect(createTokenizer(json).encode(text)).toEqual(ids);
  });

  const byteLevel = { type: 'ByteLevel', add_prefix_space: true, use_regex: true };
  const digits = (individual: boolean) => ({ type: 'Digits', individual_digits: individual });
  const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });

  // Pieces of the text from the reference's `pre_tokenize_str`.
  it.each([
    [byteLevel, ['Ġab', '12', 'ĠÙ£à¥«âħ§Â½', 'Ġï»¿', '3']],
    [sequence(digits(true), byteLevel), ['Ġab', 'Ġ1', 'Ġ2', 'Ġ', 'ĠÙ£', 'Ġà¥«', 'Ġâħ§', 'ĠÂ½', 'Ġï»¿', 'Ġ3']],
    [sequence(digits(false), { ...byteLevel, add_prefix_space: false }), ['ab', '12', 'Ġ', 'Ù£à¥«âħ§Â½', 'Ġï»¿', '3']],
  ])('splits as %j does', (rule, pieces) => {
    // Known pieces are tokens and others are unknown, so equal ids in order mean equal pieces.
    const vocab = Object.fromEntries([...new Set(['?', ...pieces])].map((piece, id) => [piece, id]));
    const model = { type: 'BPE', vocab, merges: [], unk_token: '?', ignore_merges: true };
    const tokenizer = createTokenizer({ ...json, added_tokens: [], pre_tokenizer: rule, model });
    expect(tokenizer.encode('ab12 ٣५Ⅷ½ \ufeff3')).toEqual(pieces.map((piece) => vocab[piece]));
  });
});

it('refuses what is no tokenizer', async () => {
  const folder = await temporaryFolder();
  await expect(loadTokenizer(folder)).rejects.toThrow('tokenizer.json: file is missing');
  await writeFile(join(folder, 'tokenizer.json'), '{"model":{}}');
  await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'invalid_tokenizer' });
});
