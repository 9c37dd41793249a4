import { describe, expect, it } from 'vitest';
import { promptTokens } from '../../../core/data/example.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { createTokenizer, type Tokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';

const config = { maxPositionEmbeddings: 100, eosTokenIds: [2] };

/** Makes a BPE tokenizer of these tokens. The merges build the tokens of several characters from left to right. */
function bpe(tokens: readonly string[], merges: readonly [string, string][], steps: object = {}): Tokenizer {
  const vocab = Object.fromEntries(['<unk>', '<s>', '</s>', ...tokens].map((token, id) => [token, id]));
  return createTokenizer(
    {
      model: { type: 'BPE', vocab, merges, unk_token: '<unk>' },
      added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true })),
      normalizer: null,
      pre_tokenizer: null,
      decoder: null,
      post_processor: {
        type: 'TemplateProcessing',
        single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        pair: [],
        special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
      },
      ...steps,
    },
    { config: { eos_token: { content: '</s>' } }, chatTemplate: null },
  );
}

/** Tokenizer like that of Llama 2 and Mistral: a space in front of each text, spaces as ▁. */
const SENTENCE_PIECE = {
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
};

describe('prompt and completion', () => {
  const tokens = ['▁', 'a', ':', 'o', 'k', 'ok', '▁ok', '▁a'];
  const merges: [string, string][] = [
    ['o', 'k'],
    ['▁', 'ok'],
    ['▁', 'a'],
  ];
  const tokenizer = bpe(tokens, merges, SENTENCE_PIECE);
  const id = (token: string): number => 3 + tokens.indexOf(token);

  it('are tokenized together, so that the space between them is part of the word', () => {
    const [example] = tokenizeRows([{ prompt: 'a: ', completion: 'ok' }], { tokenizer, config });
    expect(example!.tokenIds).toEqual([1, id('▁a'), id(':'), id('▁ok')]);
    expect(example!.labelSpans).toEqual([[3, 4]]);
    expect(promptTokens(example!)).toEqual([1, id('▁a'), id(':'), id('▁')]);
  });

  it('have no space put in front of the completion', () => {
    const [example] = tokenizeRows([{ prompt: 'a:', completion: 'ok' }], { tokenizer, config });
    expect(example!.tokenIds).toEqual([1, id('▁a'), id(':'), id('ok')]);
    expect(example!.labelSpans).toEqual([[3, 4]]);
    expect(example).not.toHaveProperty('promptAlone');
  });

  it('have one BOS, also where the prompt names it', () => {
    const ids = (prompt: string) => tokenizeRows([{ prompt, completion: 'ok' }], { tokenizer, config })[0]!.tokenIds;
    expect(ids('<s>a:')).toEqual([1, id('▁a'), id(':'), id('ok')]);
    expect(ids('<s>a:')).toEqual(ids('a:'));
  });

  it("have their labels behind all tokens that are wholly the prompt's, even where these have changed", () => {
    // "aab" is "aa b" alone, and "a ab c" with what follows.
    const other = bpe(
      ['a', 'b', 'c', 'aa', 'abc', 'bc'],
      [
        ['b', 'c'],
        ['a', 'bc'],
        ['a', 'a'],
      ],
    );
    const [example] = tokenizeRows([{ prompt: 'aab', completion: 'c' }], { tokenizer: other, config });
    expect(example!.tokenIds).toEqual([1, 3, 7]);
    expect(example!.labelSpans).toEqual([[2, 3]]);
    expect(promptTokens(example!)).toEqual([1, 6, 4]);
  });

  it('have as label a character that the normalizer composes of both', () => {
    const nfc = bpe(['c', 'e', 'é', '\u0301'], [], { normalizer: { type: 'NFC' } });
    const [example] = tokenizeRows([{ prompt: 'ce', completion: '\u0301' }], { tokenizer: nfc, config });
    expect(example!.tokenIds).toEqual([1, 3, 5]);
    expect(example!.labelSpans).toEqual([[2, 3]]);
  });

  it('end with the end of the text if they are asked to, once', () => {
    const run = (completion: string) =>
      tokenizeRows([{ prompt: 'a:', completion }], { tokenizer, config, appendEos: true })[0]!;
    expect(run('ok')).toMatchObject({ tokenIds: [1, id('▁a'), id(':'), id('ok'), 2], labelSpans: [[3, 5]] });
    expect(run('ok</s>')).toMatchObject({ tokenIds: run('ok').tokenIds, labelSpans: [[3, 5]] });
  });

  it('are refused if the end of the text is asked for and the base names none', () => {
    const rows = [{ prompt: 'a', completion: 'ok' }];
    const nameless: Tokenizer = { ...tokenizer, eosTokenId: null };
    const run = (eosTokenIds: number[]) => () =>
      tokenizeRows(rows, { tokenizer: nameless, config: { ...config, eosTokenIds }, appendEos: true });
    expect(run([2])()[0]!.tokenIds.at(-1)).toBe(2);
    expect(run([])).toThrow('append_eos is yes, but the base names no end of a text');
  });
});
