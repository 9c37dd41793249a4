import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { commandLine } from './processes.ts';

/** Process id that no system gives to a process. */
const NO_PID = 999_999_999;
const READY_WITHIN_MS = 120_000;
/**
 * Longest time to wait for sessions to end when the server is stopped, in milliseconds. After this time the server is
 * made to stop at once, and recovers at its next start.
 */
const FAST_STOP_MS = 60_000;
const POLL_MS = 50;

/**
 * Finds the port of the server on a data folder by the server's pid file; null if no server is running. If the server
 * was killed, the process id in the pid file is replaced, because the id may now belong to another process or to a
 * zombie, which PostgreSQL would take for a running server. The rest of the file stays, so that PostgreSQL still finds
 * sessions that have outlived the server.
 */
export async function runningPort(data: string): Promise<number | null> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline) {
    const lines = await pidFile(data);
    if (lines === null) return null;
    if (!(await isServer(Number(lines[0]), data))) {
      if (lines.length > 1) await writeFile(pidFileOf(data), [String(NO_PID), ...lines.slice(1)].join('\n'));
      return null;
    }
    if (lines[7]?.trim() === 'ready') return Number(lines[3]);
    await pause();
  }
  throw new Error(`PostgreSQL in ${data} was neither ready nor stopped after two minutes, see its log`);
}

/** Finds the process id of the server on a data folder, ready or not; null if none is running. */
export async function runningPid(data: string): Promise<number | null> {
  const pid = Number((await pidFile(data))?.[0]);
  return (await isServer(pid, data)) ? pid : null;
}

/** Ends the server on a data folder, if one is running, and waits until it is gone. Its sessions are cut off. */
export async function endServer(data: string): Promise<void> {
  const started = Date.now();
  let sent: NodeJS.Signals | null = null;
  for (let pid = await runningPid(data); pid !== null; pid = await runningPid(data)) {
    // These are PostgreSQL's fast and immediate shutdowns.
    const wanted = Date.now() - started < FAST_STOP_MS ? 'SIGINT' : 'SIGQUIT';
    if (wanted !== sent) signal(pid, wanted);
    sent = wanted;
    await pause();
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Reads the lines of PostgreSQL's pid file: pid, data folder, start time, port, socket folder, address, shared memory,
 * status.
 */
async function pidFile(data: string): Promise<string[] | null> {
  const text = await readFile(pidFileOf(data), 'utf8').catch(() => null);
  return text === null ? null : text.split('\n');
}

function pidFileOf(data: string): string {
  return path.join(data, 'postmaster.pid');
}

/** Whether a process is the server of this data folder, which pg_ctl starts as `postgres -D <data> …`. */
async function isServer(pid: number, data: string): Promise<boolean> {
  const command = await commandLine(pid);
  return command.includes('postgres') && command.includes(data);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
