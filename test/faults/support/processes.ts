import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Command of a supervised process and how to start it. */
export interface Supervised {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** File for the process's output. */
  readonly log: string;
}

/** Process that is restarted whenever it ends, as by a service manager. */
export class SupervisedProcess {
  readonly #spec: Supervised;
  #child: ChildProcess;
  /** Command prefix that runs the actual command. */
  #before: readonly string[] = [];
  #stopping = false;

  constructor(spec: Supervised) {
    this.#spec = spec;
    this.#child = this.#start();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Kills the process and uses another command prefix from now on. */
  async restart(before: readonly string[]): Promise<void> {
    this.#before = before;
    // A process that ended by itself is already being restarted.
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

/** Sends a signal to a process. @returns whether it still existed */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Living children of a process whose command line contains the text. */
export async function childrenOf(pid: number, text = ''): Promise<number[]> {
  const found: number[] = [];
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const [stat, command] = await Promise.all(
      ['stat', 'cmdline'].map((file) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')),
    );
    // The process name is in parentheses and may contain any characters.
    const parent = Number(stat!.slice(stat!.lastIndexOf(')') + 2).split(' ')[1]);
    if (parent === pid && command!.includes(text)) found.push(Number(name));
  }
  return found;
}
