import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledCommand } from '../../compiled/index.ts';
import { createTinyFamily, removeTinyFamily, toJsonl, type TinyFamily } from '../training/support/tiny-task.ts';
import { readapt } from './support/readapt.ts';

const GOLDEN = path.join(import.meta.dirname, '../../fixtures/golden');
const base = `${GOLDEN}/llama-gqa-tied/base`;
const adapter = `${GOLDEN}/llama-gqa-tied/adapter`;

let family: TinyFamily;

beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));

const out = (name: string): string => path.join(family.folder, name);

const TRAIN = 'train --base BASE --data x --validation x';
const REBASE = 'rebase --old-base BASE --base BASE --adapter ADAPTER --data x --validation x';

const WRONG_USAGE = [
  'frobnicate',
  'eval --base BASE',
  'eval --base BASE --data x.jsonl --limit 0',
  'inspect',
  `${TRAIN} --out x --rank 1.5`,
  `${TRAIN} --out x --init ADAPTER --rank 4`,
  `${TRAIN} --out x --init ADAPTER --targets q_proj`,
  `${TRAIN} --out x --init ADAPTER --layers 0`,
  `${TRAIN} --out x --layers 3-1`,
  `${TRAIN} --out BASE/config.json/deeper/x`,
  `${REBASE} --out x --strategy magic`,
  `${REBASE} --out ADAPTER`,
  `${REBASE} --out x --target 1 --margin 0`,
  `${REBASE} --out x --non-inferior 0.01 --confidence 0.5`,
  `${REBASE} --out x --confidence 1`,
  `${REBASE} --out x --on-inconclusive wait`,
  `${REBASE} --out x --critical-slice de`,
  `${REBASE} --out x --critical-slice de=-1`,
  `${REBASE} --out x --certified-slice =0.1`,
  `${REBASE} --out x --critical-slice de=0.1 --certified-slice de=0.2`,
  `${REBASE} --out x --target 1 --critical-slice de=0.1`,
  `${REBASE} --out x --grouping block`,
  `${REBASE} --out x --fusion-energy 1`,
  `${REBASE} --out x --fusion-rank 2.5`,
  'eval --base /nowhere --data x.jsonl',
  'eval --base BASE --data /nowhere.jsonl',
];

describe('usage', () => {
  it.each(WRONG_USAGE)('%s ends with exit code 2, and prints the error on stderr and as JSON', async (line) => {
    const args = line.split(' ').map((word) => word.replace('BASE', base).replace('ADAPTER', adapter));
    const { code, stdout, stderr } = await readapt(...args, '--json');
    expect(code).toBe(2);
    expect(stderr).not.toBe('');
    expect(JSON.parse(stdout)).toHaveProperty('error.message');
  });

  it.each(['inspect', 'eval', 'train', 'rebase'])(
    '%s --help ends with exit code 0 and names every option',
    async (command) => {
      const { code, stdout } = await readapt(command, '--help');
      expect(code).toBe(0);
      for (const option of ['--json', '--seed', '--device', '--threads']) expect(stdout).toContain(option);
    },
  );

  it('refuses bad data and folders with other files before any work', async () => {
    await writeFile(out('bad.jsonl'), '{"prompt": "a"}\n');
    const bad = await readapt('eval', '--base', base, '--data', out('bad.jsonl'));
    expect(bad).toMatchObject({ code: 2, stderr: expect.stringContaining('bad.jsonl: line 1: has no answer') });
    const good = { prompt: 'a', completion: 'b' };
    await writeFile(
      out('long.jsonl'),
      `${toJsonl([good, good])}\n${toJsonl([{ ...good, completion: 'long '.repeat(200) }])}`,
    );
    const long = await readapt('eval', '--base', base, '--data', out('long.jsonl'));
    expect(long).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/long\.jsonl: line 4: completion has \d+ tokens, expected at most 127/),
    });
    const occupied = await readapt(
      'train',
      '--base',
      base,
      '--data',
      'x',
      '--validation',
      'x',
      '--out',
      family.newBase,
    );
    expect(occupied).toMatchObject({ code: 2, stderr: expect.stringContaining('holds other files') });
    const data = ['--data', family.train, '--validation', family.validation, '--out', out('never')];
    for (const [option, value, message] of [
      ['--layers', '0-2', 'the base has no layer 2, expected 0 to 1'],
      ['--targets', 'c_attn', 'target module "c_attn" is no linear layer of a llama model'],
      ['--targets', '(q_proj', 'regular expression "(q_proj" is not valid'],
    ] as const) {
      const refused = await readapt('train', '--base', base, ...data, option, value);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    }
  });
});

/** Runs the command as a process, whose modules are compiled ahead. */
async function runProcess(args: readonly string[], env = process.env): Promise<{ code: number; stderr: string }> {
  const ended = promisify(execFile)(process.execPath, [compiledCommand(), ...args], { env });
  const { code, stderr } = (await ended.catch((error: unknown) => error)) as { code?: number; stderr: string };
  return { code: code ?? 0, stderr };
}

describe('the environment', () => {
  it('names TMPDIR if it cannot be used', async () => {
    expect(await runProcess(['demo'], { ...process.env, TMPDIR: '/nowhere' })).toEqual({
      code: 2,
      stderr:
        'readapt: TMPDIR is /nowhere, where no folder can be created (ENOENT): ' +
        'set it to a folder that this user may write\n',
    });
  });

  it('runs from the shell with the same exit codes', async () => {
    expect(await runProcess(['inspect', '/nowhere'])).toEqual({
      code: 2,
      stderr: 'readapt: /nowhere: folder does not exist\n',
    });
  });
});
