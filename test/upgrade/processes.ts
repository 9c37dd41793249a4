import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../eventually.ts';

/** Process of a service under test. */
export interface Process {
  readonly child: ChildProcess;
  /** Output so far, of both streams. */
  output(): string;
  /** Waits until its output matches. @throws Error if it ends first */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  /** Waits for its end and for all its output. @returns the exit code, or null if a signal ended it */
  ended(): Promise<number | null>;
  /** Sends a signal (default: SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Processes of one test, which are killed at its end. */
export class Processes {
  readonly #all: Process[] = [];

  start(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Process {
    const child = spawn(process.execPath, [command, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    const exit = once(child, 'exit').then(([code]) => code as number | null);
    // Its last output may arrive after its exit.
    let hasClosed = false;
    const close = once(child, 'close').then(([code]) => {
      hasClosed = true;
      return code as number | null;
    });
    const started: Process = {
      child,
      output: () => output,
      printed: (pattern) =>
        eventually(`${pattern} is printed`, async () => {
          const found = pattern.exec(output);
          if (found === null && hasClosed) throw new Error(`ended before ${pattern}:\n${output}`);
          return found;
        }),
      ended: () => close,
      stop: async (signal = 'SIGTERM') => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        return exit;
      },
    };
    this.#all.push(started);
    return started;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.stop('SIGKILL')));
  }

  /** Last lines of each process's output, for a failure message. */
  tails(): string {
    return this.#all
      .map(({ child, output }) => `${child.spawnargs.slice(1).join(' ')}\n${output().slice(-2000)}`)
      .join('\n\n');
  }
}
