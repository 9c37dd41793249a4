import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  DatasetError,
  parseDataset,
  type DatasetRow,
  type ParseDatasetOptions,
} from '../../../core/formats/dataset/dataset-jsonl.ts';
import { loadDataset } from '../../../core/data/dataset.ts';

/** Parses bytes that arrive in pieces of `size` bytes. */
async function parse(content: string | Uint8Array, options: ParseDatasetOptions = {}, size = 7): Promise<DatasetRow[]> {
  const bytes = Buffer.from(content);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const rows: DatasetRow[] = [];
  for await (const row of parseDataset(chunks(), options)) rows.push(row);
  return rows;
}

async function failure(content: string | Uint8Array, options?: ParseDatasetOptions): Promise<DatasetError> {
  const error: unknown = await parse(content, options).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(DatasetError);
  return error as DatasetError;
}

const GOOD = '{"prompt": "a", "completion": "b"}';

describe('parseDataset', () => {
  it.each([1, 2, 3, 1000])('reads rows from chunks of %i bytes', async (size) => {
    const text = `{"prompt":"ä😀\\n","completion":" x"}\r\n\n{"completion":"y","prompt":"","split":"gate"}`;
    const rows = [
      { prompt: 'ä😀\n', completion: ' x', line: 1 },
      { prompt: '', completion: 'y', split: 'gate', line: 3 },
    ];
    expect(await parse(text, {}, size)).toEqual(rows);
    expect(await parse(`\uFEFF${text}\n`, {}, size)).toEqual(rows);
  });

  it.each([
    ['train', 'training'],
    ['validation', 'search'],
    ['test', 'gate'],
  ])('reads the split %s as %s', async (alias, split) => {
    expect(await parse(JSON.stringify({ prompt: 'a', completion: 'b', split: alias }))).toMatchObject([{ split }]);
  });

  it.each<[string, string | Uint8Array, string]>([
    ['text that is not JSON', '{"prompt": "secret', 'is not valid JSON'],
    ['an array', '["a","b"]', 'is an array, expected an object'],
    ['null', 'null', 'is null, expected an object'],
    ['an unknown field', '{"prompt":"a","completion":"b","label":1}', 'has the unknown field "label"'],
    ['a missing prompt', '{"completion":"b"}', 'prompt is missing'],
    ['a number as completion', '{"prompt":"a","completion":3}', 'completion is a number, expected a string'],
    ['an empty completion', '{"prompt":"a","completion":""}', 'completion is empty'],
    [
      'an unknown split',
      '{"prompt":"a","completion":"b","split":"dev"}',
      'split is another word, expected training, search, gate',
    ],
    ['half of a surrogate pair', '{"prompt":"\\ud83d","completion":"b"}', 'prompt holds half of a surrogate pair'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'is not valid UTF-8'],
    ['a byte order mark inside the file', `\uFEFF${GOOD}`, 'is not valid JSON'],
  ])('refuses %s and names the line', async (_, line, reason) => {
    const error = await failure(
      Buffer.concat([Buffer.from(`${GOOD}\n\n`), Buffer.from(line), Buffer.from(`\n${GOOD}`)]),
    );
    expect(error.code).toBe('invalid_dataset');
    expect(error.total).toBe(1);
    expect(error.problems).toEqual([{ line: 3, reason: expect.stringContaining(reason) }]);
    expect(error.message).toContain(`line 3: ${reason}`);
    expect(error.message).not.toContain('secret');
  });

  it('lists the first ten problems and counts them all', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? GOOD : '{}'));
    const error = await failure(lines.join('\n'));
    expect(error.total).toBe(20);
    expect(error.problems.map(({ line }) => line)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    expect(error.message).toContain('20 bad lines; line 2: prompt is missing; line 4:');
  });

  it('refuses a line over the limit and continues with the next one', async () => {
    const error = await failure(`${GOOD}\n${'x'.repeat(200)}\n{}`, { maxLineBytes: 50 });
    expect(error.problems).toEqual([
      { line: 2, reason: 'line is longer than 50 bytes' },
      { line: 3, reason: 'prompt is missing' },
    ]);
    expect(await parse(GOOD, { maxLineBytes: GOOD.length })).toHaveLength(1);
  });

  it.each(['', '\n\n', '  \n'])('refuses a dataset without rows: %j', async (text) => {
    expect((await failure(text)).message).toBe('dataset has no rows');
  });
});

it('loads a file, and says where each row stands', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'readapt-dataset-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'a.jsonl');
  const row = (prompt: string, split?: string) => JSON.stringify({ prompt, completion: 'c', split });
  await writeFile(path, [row('a', 'training'), row('b', 'search'), row('c')].join('\n'));
  const common = { completion: 'c', file: 'a.jsonl' };
  expect(await loadDataset(path)).toEqual([
    { ...common, prompt: 'a', split: 'training', line: 1 },
    { ...common, prompt: 'b', split: 'search', line: 2 },
    { ...common, prompt: 'c', line: 3 },
  ]);
  await expect(loadDataset(join(folder, 'none'))).rejects.toThrow('ENOENT');
});
