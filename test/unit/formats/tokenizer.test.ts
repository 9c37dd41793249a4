import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTokenizer, loadTokenizer } from '../../../workers/formats/tokenizer.ts';
import { GOLDEN, readJson, temporaryFolder } from './support/folders.ts';

interface Cases {
  readonly encode: readonly {
    readonly text: string;
    readonly ids: number[];
    readonly decoded: string;
    readonly decoded_without_special: string;
  }[];
  readonly decode: readonly { readonly ids: number[]; readonly decoded: string }[];
}

const CASES = JSON.parse(readFileSync(join(GOLDEN, 'tokenizer/cases.json'), 'utf8')) as Cases;

// The same tokenizer with its merges spelled as pairs and as strings.
describe.each(['tokenizer', 'llama-gqa-tied/base'])('tokenizer.json of %s', async (folder) => {
  const tokenizer = await loadTokenizer(join(GOLDEN, folder));

  it.each(CASES.encode)('encodes $text', ({ text, ids, decoded, decoded_without_special: plain }) => {
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.decode(ids)).toBe(decoded);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(plain);
  });

  it.each(CASES.decode)('decodes $ids', ({ ids, decoded }) => {
    expect(tokenizer.decode(ids)).toBe(decoded);
  });

  it('knows its size and its tokens', () => {
    expect(tokenizer.vocabSize).toBe(512);
    expect(tokenizer.tokenId('<|endoftext|>')).toBe(0);
    expect(tokenizer.tokenId('no such token')).toBeUndefined();
    expect(() => tokenizer.decode([3, 512])).toThrow('token id 512 is not in the vocabulary');
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

it('refuses what is no tokenizer', async () => {
  const folder = await temporaryFolder();
  await expect(loadTokenizer(folder)).rejects.toThrow('tokenizer.json: file is missing');
  await writeFile(join(folder, 'tokenizer.json'), '{"model":{}}');
  await expect(loadTokenizer(folder)).rejects.toMatchObject({ code: 'invalid_tokenizer' });
});
