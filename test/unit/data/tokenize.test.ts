import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnknownTokenError, createTokenizer } from '../../../core/formats/tokenizer/tokenizer.ts';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { loadTaskData } from '../../../core/data/task-data.ts';
import { tokenizeRows, TokenizeError } from '../../../core/data/tokenize.ts';
import { characterTokenizer } from './support/character-tokenizer.ts';
import { BASE, toJsonl } from '../training/support/tiny-task.ts';

/** Makes one token of each letter and none of a space. Digits are not in its vocabulary. */
const tokenizer = characterTokenizer({ skipped: / /g, refused: /\d/ });

const FAULTS: [fault: string, row: { prompt: string; completion: string }, message: string][] = [
  [
    'a completion that is too long',
    { prompt: 'secret', completion: 'x'.repeat(9) },
    'completion has 9 tokens, expected at most 7, which leaves one for the prompt',
  ],
  [
    'a completion without tokens',
    { prompt: 'secret', completion: ' ' },
    'completion has no tokens, expected at least one',
  ],
  ['a prompt without tokens', { prompt: ' ', completion: 'x' }, 'prompt has no tokens, expected at least one'],
  [
    'a text that the vocabulary cannot spell',
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

describe('tokenizeRows', () => {
  it.each(FAULTS)('names the file and line of %s, whatever its split', async (_, bad, message) => {
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

  it('names the position of a row that comes from no file', () => {
    const rows = [
      { prompt: 'a', completion: 'b' },
      { prompt: 'a', completion: ' ' },
    ];
    const options = { tokenizer, config: { maxPositionEmbeddings: 9, eosTokenIds: [] } };
    expect(() => tokenizeRows(rows, options)).toThrow('row 2: completion has no tokens');
    expect(() => tokenizeRows([{ ...rows[1]!, line: 7 }], options)).toThrow('line 7: completion');
  });
});

it('reports a text that the vocabulary cannot spell, without quoting it', () => {
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

it('keeps the text and the place of a row', async () => {
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
    tokenIds: [97, 98],
    labelSpans: [[1, 2]],
    row: { prompt: 'a', line: 1, file: 'tasks.jsonl' },
  });
});
