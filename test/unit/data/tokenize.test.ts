import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnknownTokenError, createTokenizer, type Tokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { loadTaskData } from '../../../core/data/task-data.ts';
import { tokenizeExamples, TokenizeError } from '../../../core/data/tokenize.ts';
import { BASE, toJsonl } from '../training/support/tiny-task.ts';

/** One token a letter, no token for a space, and none in the vocabulary for a digit. */
const tokenizer: Tokenizer = {
  vocabSize: 200,
  encode: (text) => {
    if (/\d/.test(text)) throw new UnknownTokenError(text.search(/\d/) + 1);
    return [...text.replaceAll(' ', '')].map((character) => character.charCodeAt(0));
  },
};

const FAULTS: [fault: string, row: { prompt: string; completion: string }, message: string][] = [
  [
    'a completion that is too long',
    { prompt: 'secret', completion: 'x'.repeat(9) },
    'completion has 9 tokens, expected at most 7 (one for the prompt)',
  ],
  [
    'a completion without tokens',
    { prompt: 'secret', completion: ' ' },
    'completion has no tokens, expected one at least',
  ],
  ['a prompt without tokens', { prompt: ' ', completion: 'x' }, 'prompt has no tokens, expected one at least'],
  [
    'a text without tokens for it',
    { prompt: 'secret 7', completion: 'x' },
    'token 8 of the text is not in the vocabulary',
  ],
];

async function datasetOf(lines: readonly string[]): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'readapt-tokenize-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'tasks.jsonl');
  await writeFile(file, lines.join('\n'));
  return file;
}

describe('a row that cannot be made into tokens', () => {
  it.each(FAULTS)('%s is named by its line in the file, whatever its split', async (_, bad, message) => {
    const line = (split: string, row = { prompt: split, completion: 'y' }) => JSON.stringify({ ...row, split });
    for (const split of ['train', 'validation', 'test']) {
      const lines = [
        line('train'),
        '',
        line('validation'),
        line('test'),
        line('test'),
        line(split, bad),
        line('train'),
      ];
      const spec = { file: await datasetOf(lines) };
      const load = loadTaskData(spec, { tokenizer, config: await readModelConfig(BASE), maxLength: 8 }).then((data) =>
        data.training(),
      );
      await expect(load).rejects.toThrow(TokenizeError);
      await expect(load).rejects.toThrow(`tasks.jsonl: line 6: ${message}`);
      await expect(load).rejects.not.toThrow('secret');
    }
  });

  it('is named by its position where it comes from no file', () => {
    const rows = [
      { prompt: 'a', completion: 'b' },
      { prompt: 'a', completion: ' ' },
    ];
    expect(() => tokenizeExamples(rows, tokenizer, { maxLength: 9 })).toThrow('row 2: completion has no tokens');
    expect(() => tokenizeExamples([{ ...rows[1]!, line: 7 }], tokenizer, { maxLength: 9 })).toThrow(
      'line 7: completion',
    );
  });
});

it('a vocabulary that cannot spell a text says so without quoting it', () => {
  const steps = { normalizer: null, pre_tokenizer: { type: 'Whitespace' }, post_processor: null, decoder: null };
  const words = createTokenizer({
    model: { type: 'WordLevel', vocab: { a: 0, b: 1 }, unk_token: '<unk>' },
    added_tokens: [],
    ...steps,
  });
  expect(words.encode('a b')).toEqual([0, 1]);
  expect(() => words.encode('a secret b')).toThrow(UnknownTokenError);
  expect(() => words.encode('a secret b')).toThrow(/^token 2 of the text is not in the vocabulary/);
});

it('rows of the file keep their text', async () => {
  const rows = [
    { prompt: 'a', completion: 'b', split: 'train' },
    { prompt: 'c', completion: 'd', split: 'validation' },
    { prompt: 'e', completion: 'f', split: 'test' },
  ];
  const data = await loadTaskData(
    { file: await datasetOf([toJsonl(rows)]) },
    { tokenizer, config: await readModelConfig(BASE) },
  );
  expect(data.training()[0]).toMatchObject({
    promptIds: [97],
    completionIds: [98],
    row: { prompt: 'a', line: 1, file: 'tasks.jsonl' },
  });
});
