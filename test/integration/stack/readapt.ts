// Runs `readapt` like users, as real processes on an embedded PostgreSQL.
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFile, chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import { compiledCommand, installedFolder, packageFolder } from '../../compiled/index.ts';
import { processIdentity } from '../../../src/platform/embedded/processes.ts';
import { eventually } from '../../eventually.ts';
import { copyDatabaseFolder } from '../support/database-folder.ts';

/** Ways to start a process: by Node itself, or by npm, which puts a shell in between. */
const LAUNCHERS = {
  node: () => ({ command: [process.execPath, compiledCommand()], cwd: packageFolder() }),
  'npm run': () => ({ command: ['npm', 'run', '--silent', 'readapt', '--'], cwd: packageFolder() }),
  npx: () => ({ command: ['npx', '--no-install', 'readapt'], cwd: installedFolder() }),
};

export interface Running {
  readonly child: ChildProcess;
  /** Output so far, of both streams. */
  readonly output: () => string;
  /** Exit code, or the signal that ended the process. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Waits until the process has ended and all its output has arrived. @returns both */
  whole(): Promise<{ code: number | NodeJS.Signals; output: string }>;
}

export interface StartOptions {
  launcher?: keyof typeof LAUNCHERS;
  env?: NodeJS.ProcessEnv;
}

/** Starts a command with its temporary files in `folder`, in a process group of its own. */
export function start(folder: string, args: readonly string[], options: StartOptions = {}): Running {
  const { command, cwd } = LAUNCHERS[options.launcher ?? 'node']();
  const [program, ...before] = command;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    TMPDIR: folder,
    DATABASE_URL: '',
    REDIS_URL: '',
    READAPT_DATA_DIR: path.join(folder, 'data'),
    READAPT_PORT: '0',
    READAPT_LOG_LEVEL: 'info',
    ...options.env,
  };
  // The tests themselves may have been started by npm.
  for (const name of Object.keys(env)) if (name.startsWith('npm_lifecycle_')) delete env[name];
  const child = spawn(program!, [...before, ...args], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1));
  });
  // The last lines may arrive after the exit.
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const whole = async () => {
    const code = await ended;
    await closed;
    return { code, output };
  };
  return { child, output: () => output, ended, whole };
}

/** Waits until a process's output matches. */
export async function printed(running: Running, pattern: RegExp): Promise<RegExpExecArray> {
  return eventually(`${pattern} is printed`, async () => {
    const found = pattern.exec(running.output());
    const { exitCode, signalCode } = running.child;
    if (found === null && (exitCode !== null || signalCode !== null)) {
      throw new Error(`ended with ${exitCode ?? signalCode} before ${pattern}:\n${running.output()}`);
    }
    return found;
  });
}

export interface Served extends Running {
  readonly url: string;
  /** Operator's first key; null if there already was one. */
  readonly operatorKey: string | null;
}

/** Starts `readapt serve` and waits until it serves. */
export async function serve(folder: string, args: readonly string[] = [], options: StartOptions = {}): Promise<Served> {
  const running = start(folder, ['serve', ...args], options);
  const [, url] = await printed(running, /readapt serves (\S+) /);
  // The line about the key is printed together with the address.
  const file = /operator key written to ([^,\n]+)/.exec(running.output())?.[1];
  const operatorKey = file === undefined ? null : (await readFile(file, 'utf8')).trim();
  return { ...running, url: url!, operatorKey };
}

/** Creates a folder for temporary files that PostgreSQL's user can enter. */
export async function createFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'readapt-test-stack-'));
  await chmod(folder, 0o755);
  return folder;
}

/** A folder where `serve` finds a migrated database without keys, as after a first start that was interrupted. */
export async function createFolderWithDatabase(): Promise<string> {
  const folder = await createFolder();
  await addDatabase(folder);
  return folder;
}

/**
 * Puts such a database into a folder: `serve` takes seconds to make one. Its server leaves the disk to the system,
 * which outlives every process that tests kill.
 */
export async function addDatabase(folder: string): Promise<void> {
  const postgres = path.join(folder, 'data/postgres');
  await copyDatabaseFolder(inject('databaseFolder'), postgres);
  await appendFile(path.join(postgres, 'data/postgresql.conf'), '\nfsync = off\n');
}

/** Kills everything that still uses the folder, and removes it. */
export async function removeFolder(folder: string): Promise<void> {
  await eventually('no process uses the folder any more', async () => {
    const left = await processesOf(folder);
    for (const { pid } of left) killProcess(pid, 'SIGKILL');
    return left.length === 0;
  });
  await rm(folder, { recursive: true, force: true });
}

export interface ProcessOf {
  readonly pid: number;
  readonly command: string;
}

/** Living processes that name the folder in their command line or environment. */
export async function processesOf(folder: string): Promise<ProcessOf[]> {
  const found: ProcessOf[] = [];
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const pid = Number(name);
    const [command, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    if (pid === process.pid || !`${command}\0${environment}`.includes(folder)) continue;
    if ((await processIdentity(pid)) !== null) found.push({ pid, command: command!.replaceAll('\0', ' ') });
  }
  return found;
}

/** Process id of the PostgreSQL server of a data folder. */
export async function postmasterOf(dataDir: string): Promise<number> {
  const text = await readFile(path.join(dataDir, 'postgres/data/postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

export async function isAlive(pid: number): Promise<boolean> {
  return (await processIdentity(pid)) !== null;
}

/** Sends a signal to a process, or to a process group (negative id), which may be gone already. */
export function killProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
