import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { TokenizerFiles } from '../../../../core/formats/tokenizer/tokenizer-files.ts';
import {
  breakingTokenizerChanges,
  compareTokenizers,
} from '../../../../core/method/evolution/analysis/tokenizer-changes.ts';

interface Json {
  version: string;
  added_tokens: { id: number; content: string; special: boolean }[];
  normalizer: unknown;
  pre_tokenizer: Record<string, unknown>;
  decoder: unknown;
  model: { vocab: Record<string, number>; merges: (string | string[])[]; [setting: string]: unknown };
}

const text = await readFile(new URL('../../../../examples/demo-family/v1/tokenizer.json', import.meta.url), 'utf8');
const CONFIG = { bos_token: '<|endoftext|>', eos_token: { content: '<|endoftext|>', lstrip: false } };

function version(change: (json: Json) => void = () => undefined, others: Partial<TokenizerFiles> = {}): TokenizerFiles {
  const tokenizer = JSON.parse(text) as Json;
  change(tokenizer);
  return { tokenizer, config: CONFIG, chatTemplate: null, ...others };
}

const breaking = (change: (json: Json) => void): string[] => {
  return breakingTokenizerChanges(compareTokenizers(version(), version(change))).map(({ field }) => field);
};

describe('compareTokenizers', () => {
  it.each<[string, (json: Json) => void]>([
    ['the file itself', () => undefined],
    [
      'merges written as one text',
      (json) => (json.model.merges = json.model.merges.map((merge) => (merge as string[]).join(' '))),
    ],
    ['settings that are off left out', (json) => delete json.model['byte_fallback']],
    [
      'keys in another order',
      (json) => (json.pre_tokenizer = Object.fromEntries(Object.entries(json.pre_tokenizer).reverse())),
    ],
    ['another version of the format', (json) => (json.version = '1.1')],
  ])('finds no change in %s', (_, change) => {
    const changes = compareTokenizers(version(), version(change));
    expect(changes).toMatchObject({ addedTokens: [], encoding: [], decoding: [], roles: [], chatTemplate: 'same' });
    expect(changes.vocabulary).toEqual({ added: [], removed: [], moved: [] });
    expect(breakingTokenizerChanges(changes)).toEqual([]);
  });

  it.each<[string, string[], (json: Json) => void]>([
    ['a token gone', ['tokenizer.vocabulary'], (json) => delete json.model.vocab['Ġthe']],
    [
      'ids exchanged',
      ['tokenizer.ids'],
      ({ model: { vocab } }) => ([vocab['a'], vocab['b']] = [vocab['b']!, vocab['a']!]),
    ],
    ['a merge gone', ['tokenizer.merges'], (json) => json.model.merges.pop()],
    ['merges in another order', ['tokenizer.merges'], (json) => json.model.merges.reverse()],
    ['a normalizer', ['tokenizer.normalizer'], (json) => (json.normalizer = { type: 'NFC' })],
    ['another split', ['tokenizer.pre_tokenizer'], (json) => (json.pre_tokenizer['add_prefix_space'] = true)],
    ['a setting of the model', ['tokenizer.model.byte_fallback'], (json) => (json.model['byte_fallback'] = true)],
  ])('takes %s for incompatible', (_, fields, change) => {
    expect(breaking(change)).toEqual(fields);
  });

  it('reports a reserved token that was renamed, one that was added, the way back, and breaks nothing', () => {
    const change = (json: Json): void => {
      json.added_tokens[0]!.content = '<|think|>';
      json.model.vocab['<|think|>'] = 0;
      delete json.model.vocab['<|pad|>'];
      json.added_tokens.push({ id: 4096, content: '<|tool|>', special: true });
      json.decoder = null;
    };
    expect(breaking(change)).toEqual([]);
    const changes = compareTokenizers(version(), version(change));
    expect(changes.addedTokens.map(({ field }) => field)).toEqual(['<|pad|>', '<|think|>', '<|tool|>']);
    expect(changes.decoding.map(({ field }) => field)).toEqual(['decoder']);
  });

  it('reports roles and the chat template, however the roles are written down', () => {
    const changes = compareTokenizers(
      version(undefined, { config: { ...CONFIG, eos_token: '<|endoftext|>', pad_token: '<|pad|>' } }),
      version(undefined, {
        config: { bos_token: '<|pad|>', eos_token: '<|endoftext|>', pad_token: '<|pad|>' },
        chatTemplate: '{{ x }}',
      }),
    );
    expect(changes.roles).toEqual([{ field: 'bos_token', old: '<|endoftext|>', new: '<|pad|>' }]);
    expect(changes.chatTemplate).toBe('added');
  });

  it('compares the scores of a unigram model', () => {
    const unigram = (score: number): TokenizerFiles => {
      return {
        tokenizer: {
          model: {
            type: 'Unigram',
            vocab: [
              ['<unk>', 0],
              ['▁a', score],
            ],
          },
        },
        config: null,
        chatTemplate: null,
      };
    };
    expect(breakingTokenizerChanges(compareTokenizers(unigram(-1), unigram(-1)))).toEqual([]);
    expect(breakingTokenizerChanges(compareTokenizers(unigram(-1), unigram(-2))).map(({ field }) => field)).toEqual([
      'tokenizer.merges',
    ]);
  });

  it('takes a tokenizer that went missing for another one', () => {
    expect(breakingTokenizerChanges(compareTokenizers(version(), null)).map(({ field }) => field)).toContain(
      'tokenizer.vocabulary',
    );
    expect(breakingTokenizerChanges(compareTokenizers(null, null))).toEqual([]);
  });
});
