import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a process is started, again whenever it has ended. */
export interface Supervised {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** File that its output goes to. */
  readonly log: string;
}

/** A process that is started again when it ends, as a service manager does it. */
export class SupervisedProcess {
  readonly #spec: Supervised;
  #child: ChildProcess;
  /** What the command is run by. */
  #before: readonly string[] = [];
  #stopping = false;

  constructor(spec: Supervised) {
    this.#spec = spec;
    this.#child = this.#start();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Kills the process, and lets another command run it from now on. */
  async restart(before: readonly string[]): Promise<void> {
    this.#before = before;
    // One that has ended by itself is being started again.
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    signal(this.pid, 'SIGKILL');
    await gone;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    signal(this.pid, 'SIGCONT');
    signal(this.pid, 'SIGTERM');
    await Promise.race([gone, sleep(15_000)]);
    signal(this.pid, 'SIGKILL');
  }

  #start(): ChildProcess {
    const { command, args, env, log } = this.#spec;
    const output = openSync(log, 'a');
    const options: SpawnOptions = { env, stdio: ['ignore', output, output] };
    const [first = command, ...rest] = [...this.#before, command, ...args];
    const child = spawn(first, rest, options);
    child.once('exit', () => {
      if (this.#stopping) return;
      setTimeout(() => {
        if (!this.#stopping) this.#child = this.#start();
      }, 200);
    });
    return child;
  }
}

/** Sends a signal to a process, which may be gone. @returns whether it was there */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** The living children of a process whose command lines have this text. */
export async function childrenOf(pid: number, text = ''): Promise<number[]> {
  const found: number[] = [];
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const [stat, command] = await Promise.all(
      ['stat', 'cmdline'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    // The name of a process stands in parentheses, and may have any characters.
    const parent = Number(stat!.slice(stat!.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent === pid && command!.includes(text)) found.push(Number(name));
  }
  return found;
}
