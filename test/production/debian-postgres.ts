import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Folder in which Debian installs each version of PostgreSQL. */
const VERSIONS = '/usr/lib/postgresql';

export interface DebianPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts Debian's PostgreSQL on a new cluster and the given port. Needs root, which becomes the user `postgres`. */
export async function startDebianPostgres(port: number): Promise<DebianPostgres> {
  const versions = await readdir(VERSIONS).catch((): string[] => []);
  const newest = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  if (newest === undefined) throw new Error(`${VERSIONS} is empty: install Debian's package postgresql`);
  const bin = path.join(VERSIONS, newest, 'bin');
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-debian-'));
  const as = (command: string, ...args: string[]) =>
    run('runuser', ['-u', 'postgres', '--', path.join(bin, command), ...args], { cwd: folder });
  const { stdout } = await run('id', ['-u', 'postgres']);
  await chown(folder, Number(stdout), 0);
  const data = path.join(folder, 'data');
  await as('initdb', '-D', data, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8');
  const settings = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1`;
  await as('pg_ctl', '-D', data, '-l', path.join(folder, 'log'), '-o', settings, '-w', 'start');
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await as('pg_ctl', '-D', data, '-m', 'fast', '-w', 'stop');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
