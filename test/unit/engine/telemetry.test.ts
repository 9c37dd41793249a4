import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { compiledModule } from '../../compiled/index.ts';

const CHILD = path.join(import.meta.dirname, 'support/inference-child.ts');

it('leaves no record of an inference below the home folder, where ONNX Runtime keeps what it sends', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'readapt-home-'));
  try {
    // ONNX Runtime records nothing if CI is set, so the environment is reduced to these variables.
    const env = { PATH: process.env.PATH, HOME: home, XDG_CACHE_HOME: path.join(home, '.cache') };
    const { stdout } = await promisify(execFile)(process.execPath, [compiledModule(CHILD)], { env });
    expect(stdout).toBe('1 2 3 4\n');
    expect(await readdir(home, { recursive: true })).toEqual([]);
  } finally {
    await rm(home, { recursive: true });
  }
});
