import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DatasetError, parseDataset, type ParseDatasetOptions } from '../../../core/formats/dataset/dataset-jsonl.ts';
import type { DatasetRow } from '../../../core/formats/dataset/dataset-row.ts';
import { loadDataset } from '../../../core/data/dataset.ts';
import { heldBytes } from '../../garbage.ts';

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

  it.each<[string, object]>([
    ['prompts', { prompt: 'a' }],
    ['conversations that end with the user', { messages: [{ role: 'user', content: 'a' }] }],
    ['conversations that end with a tool', { messages: [{ role: 'tool', content: 'a', tool_call_id: '1' }] }],
  ])('takes %s alone', async (_, row) => {
    const line = JSON.stringify(row);
    expect(await parse(`${line}\n${line}`)).toEqual([
      { ...row, line: 1 },
      { ...row, line: 2 },
    ]);
  });

  it('names the line of the one answer among ten thousand prompts', async () => {
    const prompts = Array.from({ length: 10_000 }, (_, i) => `{"prompt":"secret ${i}"}`);
    const error = await failure(prompts.with(6000, '{"prompt":"a","completion":"secret"}').join('\n'));
    expect([error.total, error.problems]).toEqual([1, [{ line: 6001, reason: expect.any(String) }]]);
    expect(error.message).toBe(
      'line 6001: has an answer (a completion, or a last message of the assistant), and 9999 other rows have none, ' +
        'the first in line 1: expected all rows to have one, or none',
    );
  });

  it('names the first ten lines without an answer among rows with one, and other bad lines in place', async () => {
    const lines = Array.from({ length: 400 }, (_, i): string => (i % 3 === 0 ? '{"prompt":"secret"}' : GOOD)).with(
      1,
      '[]',
    );
    const error = await failure(lines.join('\n'));
    expect(error.total).toBe(100);
    expect(error.problems.map(({ line }) => line)).toEqual([1, 2, 4, 7, 10, 13, 16, 19, 22, 25]);
    expect(error.problems[0]!.reason).toContain('has no answer');
    expect(error.problems[0]!.reason).toContain('197 other rows have one, the first in line 3');
    expect(error.message).not.toContain('secret');
  });

  it('lists the first ten problems and counts them all', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? GOOD : '{}'));
    const error = await failure(lines.join('\n'));
    expect(error.total).toBe(20);
    expect(error.problems.map(({ line }) => line)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    expect(error.message).toContain('20 bad lines; line 2: prompt is missing; line 4:');
  });

  it('reads no further than a hundred rows of the rarer kind', async () => {
    let read = 0;
    const rows = async function* () {
      for (; read < 1000; read++) yield await Promise.resolve(Buffer.from(`{"prompt":"a"}\n${GOOD}\n`));
    };
    const reading = async () => {
      for await (const row of parseDataset(rows())) expect(row.line).toBeGreaterThan(0);
    };
    await expect(reading()).rejects.toMatchObject({ total: 100 });
    expect(read).toBe(99);
  });

  it('refuses a line over the limit and continues with the next one', async () => {
    const error = await failure(`${GOOD}\n${'x'.repeat(200)}\n{}`, { maxLineBytes: 50 });
    expect(error.problems).toEqual([
      { line: 2, reason: 'line is longer than 50 bytes' },
      { line: 3, reason: 'prompt is missing' },
    ]);
    expect(await parse(GOOD, { maxLineBytes: GOOD.length })).toHaveLength(1);
  });

  it.each<[string, string | Buffer, string, RegExp]>([
    ['blank lines', `${GOOD}\n`, '\n', /line 1003: is blank, like 1001 lines before it, expected at most 1000/],
    ['lines of spaces', '', ' \t\r\n', /line 1001: is blank/],
    ['bad lines', '', '{}\n', /^100 or more bad lines; line 1: prompt is missing/],
    ['a line', `${GOOD}\n`, 'x', /line 2: line is longer than 1048576 bytes/],
    ['compressed bytes', gzipSync(GOOD), 'x', /^dataset is compressed with gzip, expected uncompressed JSONL$/],
  ])('stops at %s without an end', async (_what, start, repeated, message) => {
    let read = 0;
    async function* chunks() {
      yield Buffer.from(start);
      for (;;) {
        const chunk = Buffer.from(repeated.repeat(1 << 10));
        read += chunk.length;
        yield chunk;
      }
    }
    const parsing = (async () => {
      for await (const { line } of parseDataset(chunks())) expect(line).toBe(1);
    })();
    await expect(parsing).rejects.toThrow(DatasetError);
    await expect(parsing).rejects.toThrow(message);
    expect(read).toBeLessThanOrEqual((16 << 20) + (1 << 10));
  });

  it('takes a file in which a blank line follows each row', async () => {
    expect(await parse(`${GOOD}\n\n`.repeat(3000), {}, 1 << 16)).toHaveLength(3000);
  });

  it('holds a line in the memory that it takes, however small the pieces are in which it comes', async () => {
    const content = 'x'.repeat(500_000);
    const line = Buffer.from(JSON.stringify({ prompt: content, completion: 'y' }));
    const start = heldBytes();
    let peak = 0;
    async function* chunks() {
      for (let at = 0; at < line.length; at++) {
        // A chunk of its own, as each TCP segment is.
        yield Uint8Array.of(line[at]!);
        if (at % 50_000 === 0) peak = Math.max(peak, heldBytes() - start);
      }
    }
    for await (const row of parseDataset(chunks())) expect(row).toMatchObject({ prompt: content });
    expect(peak).toBeLessThan(4 << 20);
  });

  it('counts levels of rows, not brackets in texts', async () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels - 4)}${']'.repeat(levels - 4)}}`;
    const chat = (tool: string) =>
      `{"messages":[{"role":"assistant","content":"${'[{'.repeat(100)}\\"${'['.repeat(100)}"}],"tools":[${tool}]}`;
    expect(await parse(chat(nested(65)))).toHaveLength(1);
    const error = await failure(chat(nested(66)));
    expect(error.problems).toEqual([{ line: 1, reason: 'is nested deeper than 64 levels' }]);
  });

  it('counts values of rows, not commas in texts', async () => {
    const chat = (count: number) =>
      `{"messages":[{"role":"assistant","content":"${'[,'.repeat(30_000)}"}],"tools":[{"a":[${'0,'.repeat(count)}0]}]}`;
    expect(await parse(chat(19_000), {}, 1 << 16)).toHaveLength(1);
    const error = await failure(chat(20_000));
    expect(error.problems).toEqual([{ line: 1, reason: 'has more than 20000 values' }]);
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

describe('a conversation', () => {
  const user = { role: 'user', content: 'hi' };
  const assistant = { role: 'assistant', content: 'yes' };
  const call = { role: 'assistant', tool_calls: [{ function: { name: 'add', arguments: { a: 1 } } }] };
  const line = (row: object) => JSON.stringify(row);

  it('is read with its tools, split and slices', async () => {
    const row = { messages: [user, assistant], tools: [{ name: 'add' }], split: 'gate', slices: ['en', 'short'] };
    expect(await parse(line(row))).toEqual([{ ...row, line: 1 }]);
    const turns = [user, call, { role: 'tool', content: '2', tool_call_id: 'x' }, assistant];
    expect(await parse(line({ messages: turns }))).toEqual([{ messages: turns, line: 1 }]);
    expect(await parse(line({ messages: [user, call] }))).toHaveLength(1);
  });

  it.each<[string, object, string]>([
    ['both kinds of row', { messages: [user, assistant], prompt: 'a' }, 'has the unknown field "prompt"'],
    ['no list', { messages: 'secret' }, 'messages is a string, expected an array'],
    ['no messages', { messages: [] }, 'messages is empty, expected at least one message'],
    ['too many messages', { messages: Array(513).fill(user) }, 'messages has 513 entries, expected at most 512'],
    ['a message that is no object', { messages: ['secret', assistant] }, 'messages[0] is a string, expected an object'],
    ['no role', { messages: [{ content: 'secret' }, assistant] }, 'messages[0].role is missing'],
    [
      'an unknown field',
      { messages: [{ ...user, weight: 1 }, assistant] },
      'messages[0] has the unknown field "weight"',
    ],
    [
      'parts',
      { messages: [{ role: 'user', content: [] }, assistant] },
      'messages[0].content is an array, expected a string',
    ],
    ['no content', { messages: [{ role: 'user' }, assistant] }, 'messages[0].content is missing'],
    ['an empty answer', { messages: [user, { ...assistant, content: '' }] }, 'messages[1].content is empty'],
    ...['model', 'gpt', 'bot', 'Assistant', 'system'].map((role): [string, object, string] => [
      `a last message of the ${role}`,
      { messages: [user, { role, content: 'yes' }] },
      'messages[1].role, the last one, is another word, expected assistant, ' +
        'or in a prompt alone user, tool, function, ipython',
    ]),
    ['tools that are no list', { messages: [user, assistant], tools: {} }, 'tools is an object, expected an array'],
    [
      'a tool that is no object',
      { messages: [user, assistant], tools: ['x'] },
      'tools[0] is a string, expected an object',
    ],
    [
      'half of a surrogate pair',
      { messages: [{ ...user, content: '\ud83d' }, assistant] },
      'messages[0].content holds half',
    ],
    [
      'slices that are no list',
      { ...{ prompt: 'a', completion: 'b' }, slices: 'en' },
      'slices is a string, expected an array',
    ],
    [
      'a slice without a name',
      { ...{ prompt: 'a', completion: 'b' }, slices: [''] },
      'slices[0] is not a name of 1 to 64',
    ],
  ])('with %s is refused', async (_, row, reason) => {
    const error = await failure(line(row));
    expect(error.problems).toEqual([{ line: 1, reason: expect.stringContaining(reason) }]);
    expect(error.message).not.toContain('secret');
  });
});
