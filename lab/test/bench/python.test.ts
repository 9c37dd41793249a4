import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensurePython, runVisibly } from '../../bench/engine/sides/python.ts';

const unix = process.platform !== 'win32';

describe.runIf(unix)("the reference's Python", () => {
  let folder: string;
  let venv: string;
  let log: string[];
  /** Runs the search and records its commands, with `-c` programs written as `checks`. Commands in `failing` fail. */
  let commands: string[];
  let failing: string[];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-python-'));
    venv = path.join(folder, 'venv');
    [log, commands, failing] = [[], [], []];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const find = (environment: Record<string, string>) => {
    const run = async (command: string, args: readonly string[]) => {
      const line = [command.replace(`${folder}/`, ''), ...(args[0] === '-c' ? ['checks'] : args)]
        .join(' ')
        .replaceAll(`${folder}/`, '');
      commands.push(line);
      const fails = failing.includes(line);
      // After a successful installation the check of the packages succeeds.
      if (line.includes('pip install') && !fails)
        failing = failing.filter((failing) => failing !== 'venv/bin/python checks');
      return !fails;
    };
    return ensurePython({ environment, log: (line) => log.push(line), run });
  };
  const makeInterpreter = async () => {
    await mkdir(path.join(venv, 'bin'), { recursive: true });
    await writeFile(path.join(venv, 'bin/python'), '');
  };
  const INSTALL = 'venv/bin/python -m pip install torch transformers peft safetensors tokenizers numpy';

  it('is made and filled once', async () => {
    expect(await find({ READAPT_INTEROP_VENV: venv })).toBe(path.join(venv, 'bin/python'));
    expect(commands).toEqual(['python3 checks', 'python3 -m venv venv', INSTALL, 'venv/bin/python checks']);
    await makeInterpreter();
    commands = [];
    expect(await find({ READAPT_INTEROP_VENV: venv })).toBe(path.join(venv, 'bin/python'));
    expect(commands).toEqual(['venv/bin/python checks']);
  });

  it('is filled if an earlier installation broke off', async () => {
    await makeInterpreter();
    failing = ['venv/bin/python checks'];
    expect(await find({ READAPT_INTEROP_VENV: venv })).toBe(path.join(venv, 'bin/python'));
    expect(commands).toEqual(['venv/bin/python checks', INSTALL, 'venv/bin/python checks']);
  });

  it.each([
    ['python3 checks', 'no python3 of version 3.10 or later'],
    ['python3 -m venv venv', 'on Debian it needs the package python3-venv'],
    [INSTALL, 'pip could not install torch'],
  ])('is reported as missing if "%s" fails', async (command, message) => {
    failing = [command];
    expect(await find({ READAPT_INTEROP_VENV: venv })).toBeNull();
    expect(log.at(-1)).toContain(message);
    expect(log.at(-1)).toContain('Readapt is measured alone');
  });

  it('is the named interpreter, and nothing is installed into it', async () => {
    expect(await find({ READAPT_INTEROP_PYTHON: '/opt/python', READAPT_INTEROP_VENV: venv })).toBe('/opt/python');
    failing = ['/opt/python checks'];
    expect(await find({ READAPT_INTEROP_PYTHON: '/opt/python' })).toBeNull();
    expect(commands).toEqual(['/opt/python checks', '/opt/python checks']);
    expect(log.at(-1)).toContain(
      'READAPT_INTEROP_PYTHON=/opt/python does not run or lacks one of torch, transformers, peft',
    );
  });

  it('counts a command that does not exist as failed', async () => {
    expect(await runVisibly(path.join(folder, 'nothing'), [])).toBe(false);
    expect(await runVisibly(process.execPath, ['-e', 'process.exit(3)'])).toBe(false);
    expect(await runVisibly(process.execPath, ['-e', ''])).toBe(true);
  });
});
