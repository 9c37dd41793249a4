import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');

export interface Release {
  readonly version: string;
  readonly commit: string;
}

/** The last version in the CHANGELOG that names its commit. */
export async function lastRelease(): Promise<Release> {
  const text = await readFile(path.join(ROOT, 'CHANGELOG.md'), 'utf8');
  const [, version, commit] = /^## (\d\S*)[^\n]*\n+Commit ([0-9a-f]{40})\./m.exec(text) ?? [];
  if (version === undefined || commit === undefined) throw new Error('the CHANGELOG names no version with its commit');
  return { version, commit };
}

/** Whether the commit is at hand, or can be fetched where the history is shallow. */
export function hasCommit(commit: string): boolean {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: ROOT, stdio: 'ignore' }).status === 0;
  const isThere = () => git('cat-file', '-e', `${commit}^{commit}`);
  return isThere() || (git('fetch', '--quiet', '--depth', '1', 'origin', commit) && isThere());
}

export interface EarlierVersion {
  /** The command `readapt` of that version. */
  readonly command: string;
  remove(): Promise<void>;
}

/** Puts the sources of a commit into a folder and generates its database client. They run on our dependencies. */
export async function checkOut({ commit }: Release): Promise<EarlierVersion> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-earlier-'));
  const sources = path.join(folder, 'readapt');
  await mkdir(sources);
  const archive = path.join(folder, 'sources.tar');
  await run('git', ['archive', '--output', archive, commit], { cwd: ROOT });
  await run('tar', ['-xf', archive, '-C', sources]);
  await symlink(path.join(ROOT, 'node_modules'), path.join(sources, 'node_modules'));
  await run(process.execPath, ['scripts/generate-client.js'], { cwd: sources });
  return {
    command: path.join(sources, 'bin/readapt.js'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
