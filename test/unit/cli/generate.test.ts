import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledCommand } from '../../compiled/index.ts';
import { createTinyFamily, removeTinyFamily, toJsonl, type TinyFamily } from '../training/support/tiny-task.ts';
import { readapt, readaptJson } from './support/readapt.ts';

const ADAPTER = path.join(import.meta.dirname, '../../fixtures/golden/llama-gqa-tied/adapter');
const COMMAND = compiledCommand();
const LIMIT = ['--max-new-tokens', '6'];

let family: TinyFamily;
beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));

interface Text {
  readonly text: string;
  readonly token_ids: readonly number[];
  readonly stop: string;
}

async function generate(...args: string[]): Promise<Text> {
  const { code, document } = await readaptJson('generate', '--base', family.oldBase, ...LIMIT, ...args);
  expect(code).toBe(0);
  return document as unknown as Text;
}

/** Runs the command in a process of its own, with a text on stdin. */
function withStdin(input: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(COMMAND, ['generate', ...args], (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

describe('readapt generate', () => {
  it('prints a text, its tokens and why it stopped', async () => {
    const found = await generate('--prompt', 'Once upon a time');
    expect(Object.keys(found)).toEqual(['text', 'token_ids', 'stop']);
    expect(found).toMatchObject({ stop: 'max_new_tokens', text: expect.any(String) });
    expect(found.token_ids).toHaveLength(6);
    expect(await generate('--prompt', 'Once upon a time')).toEqual(found);
    expect(await generate('--prompt', 'Once upon a time', '--device', 'tfjs-cpu')).toEqual(found);
    const adapted = await generate('--prompt', 'Once upon a time', '--adapter', ADAPTER);
    expect(adapted.token_ids).not.toEqual(found.token_ids);
  });

  it('ends the text before the first of the strings to stop at', async () => {
    const { text, token_ids } = await generate('--prompt', 'Once upon a time');
    const stop = text.slice(3, 5);
    const found = await generate('--prompt', 'Once upon a time', '--stop', 'not there', '--stop', stop);
    expect(found).toMatchObject({ stop: 'stop_string', text: text.slice(0, text.indexOf(stop)) });
    expect(found.token_ids).toEqual(token_ids.slice(0, found.token_ids.length));
  });

  it('ends the text with a token that generation_config.json calls the end', async () => {
    const { token_ids } = await generate('--prompt', 'Once upon a time');
    const [, , end] = token_ids;
    // The folder of the old base is shared with tests of other files, so a copy is changed.
    const base = path.join(family.folder, 'with-end');
    await cp(family.oldBase, base, { recursive: true });
    await writeFile(path.join(base, 'generation_config.json'), JSON.stringify({ eos_token_id: [end, 1] }));
    const found = await generate('--base', base, '--prompt', 'Once upon a time');
    expect(found).toMatchObject({ stop: 'end_of_text', token_ids: token_ids.slice(0, token_ids.indexOf(end!) + 1) });
  });
});

describe('readapt generate --data and --compare', () => {
  it('prints a document a line for the rows of a file, in their order', async () => {
    const rows = ['Tea is', 'A very long road leads through the hills to', 'Tea is'].map((prompt, index) => ({
      prompt,
      completion: ` answer ${index}`,
    }));
    const file = path.join(family.folder, 'prompts.jsonl');
    await writeFile(file, `\n${toJsonl(rows)}`);
    const { code, stdout } = await readapt('generate', '--base', family.oldBase, '--data', file, ...LIMIT);
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Text & { line: number; expected: string });
    expect(lines.map(({ line, expected }) => [line, expected])).toEqual([
      [2, ' answer 0'],
      [3, ' answer 1'],
      [4, ' answer 2'],
    ]);
    for (const [index, { text, token_ids, stop }] of lines.entries()) {
      expect({ text, token_ids, stop }).toEqual(await generate('--prompt', rows[index]!.prompt));
    }
  });

  it('continues prompts alone, which expect nothing', async () => {
    const file = path.join(family.folder, 'prompts-alone.jsonl');
    await writeFile(file, toJsonl([{ prompt: 'Tea is' }, { prompt: 'Once upon a time' }]));
    const { code, stdout } = await readapt('generate', '--base', family.oldBase, '--data', file, ...LIMIT);
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Text);
    expect(lines).toEqual([
      { ...(await generate('--prompt', 'Tea is')), line: 1 },
      { ...(await generate('--prompt', 'Once upon a time')), line: 2 },
    ]);
  });

  it('shows what an update of the base did to a text', async () => {
    const args = ['--prompt', 'Once upon a time', '--compare', family.oldBase, '--adapter', ADAPTER];
    const { document } = await readaptJson('generate', '--base', family.newBase, ...args, ...LIMIT);
    const before = await generate('--prompt', 'Once upon a time', '--adapter', ADAPTER);
    expect(document).toMatchObject({ old: before, new: { stop: 'max_new_tokens' } });
    expect(document['same']).toBe((document['new'] as unknown as Text).text === before.text);
    const { document: bare } = await readaptJson(
      'generate',
      '--base',
      family.oldBase,
      ...args,
      '--old-adapter',
      ADAPTER,
      ...LIMIT,
    );
    expect(bare).toMatchObject({ same: true, old: before, new: before });
  });
});

describe('the input and output of readapt generate', () => {
  it('writes the text alone on stdout for people, and a line about it on stderr', async () => {
    const { text } = await generate('--prompt', 'Once upon a time');
    const args = ['generate', '--base', family.oldBase, '--prompt', 'Once upon a time', ...LIMIT];
    const { code, stdout, stderr } = await readapt(...args);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${text}\n` });
    expect(stderr).toMatch(/max new tokens after 6 tokens/);
    const compared = await readapt(...args, '--compare', family.oldBase);
    expect(compared.stdout).toBe(`--- old: ${family.oldBase}\n${text}\n--- new: ${family.oldBase}\n${text}\n`);
  });

  it('reads the prompt from stdin, without its last line feed', async () => {
    const args = ['--base', family.oldBase, '--json', '--precision', 'f32', ...LIMIT];
    const { code, stdout } = await withStdin('Once upon\na time\n', ...args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(await generate('--prompt', 'Once upon\na time'));
    expect(await withStdin('', ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining('stdin is empty') });
  });

  it.each([
    [['--prompt', 'a', '--data', 'b'], '--prompt and --data exclude each other'],
    [['--prompt', 'a', '--old-adapter', ADAPTER], '--old-adapter needs --compare'],
    [['--prompt', 'a', '--stop', ''], 'expected at least one character'],
    [['--prompt', 'a', '--max-new-tokens', '0'], 'expected an integer of at least 1'],
    [['--prompt', ''], 'the prompt has no tokens'],
    [['--prompt', 'word '.repeat(400)], 'tokens, expected at most'],
    [['--data', 'nowhere.jsonl'], 'nowhere.jsonl'],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, stderr } = await readapt('generate', '--base', family.oldBase, ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it('says in its help what it prints', async () => {
    const { code, stdout } = await readapt('generate', '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\{text, token_ids, stop\}/);
    expect(await readFile(path.join(import.meta.dirname, '../../../README.md'), 'utf8')).toContain('`generate`');
  });
});
