import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '../../..');

let folder: string;

/** Package whose sources and build only print which of the two they are. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'readapt-command-'));
  await cp(path.join(ROOT, 'bin'), path.join(folder, 'bin'), { recursive: true });
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
  await addMain('cli/main.ts', "export const main = (args: string[]): void => console.log('sources', ...args);");
  await addMain('dist/cli/main.js', "export const main = (args) => console.log('dist', ...args);");
});
afterEach(() => rm(folder, { recursive: true }));

async function addMain(name: string, text: string): Promise<void> {
  await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
  await writeFile(path.join(folder, name), text);
}

async function runCommand(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [path.join(folder, 'bin/readapt.js'), '--help']);
  return stdout;
}

it('runs the sources of a checkout even where it has been built', async () => {
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  expect(await runCommand()).toBe('sources --help\n');
});

it('runs the build of a package, which needs no loader', async () => {
  await rm(path.join(folder, 'cli'), { recursive: true });
  expect(await runCommand()).toBe('dist --help\n');
});
