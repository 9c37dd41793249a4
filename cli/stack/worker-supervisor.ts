import { fork, type ChildProcess } from 'node:child_process';
import { packagePath } from '../../core/installation/package-path.ts';

const COMMAND = packagePath('bin/readapt.js');
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** A worker that lived this long was healthy: the next restart is quick again. */
const HEALTHY_AFTER_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;

export interface SupervisedWorker {
  /** Process id of the worker that runs now, if one does. */
  readonly pid: number | undefined;
  /** Ends the worker gracefully; kills it when it has not ended within 30 s. */
  stop(): Promise<void>;
}

/**
 * Keeps one `readapt worker` running as a process of its own: whatever kills it (out of memory, `kill -9`), it comes
 * back, and the jobs it held are taken up from their checkpoints.
 */
export function superviseWorker(env: NodeJS.ProcessEnv, log: (line: string) => void): SupervisedWorker {
  let child: ChildProcess | undefined;
  let stopping = false;
  let delayMs = FIRST_DELAY_MS;
  let timer: NodeJS.Timeout | undefined;

  const start = (): void => {
    const startedAt = Date.now();
    // In a group of its own: a Ctrl-C at the terminal is for this process, which then ends the worker.
    child = fork(COMMAND, ['worker'], { env, detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const restart = (reason: string): void => {
      if (child === undefined) return;
      child = undefined;
      if (stopping) return;
      delayMs = Date.now() - startedAt > HEALTHY_AFTER_MS ? FIRST_DELAY_MS : Math.min(delayMs * 2, LONGEST_DELAY_MS);
      log(`worker ended (${reason}), starting it again in ${delayMs} ms`);
      timer = setTimeout(start, delayMs);
    };
    child.once('exit', (code, signal) => restart(signal ?? `exit code ${code}`));
    // One that cannot be started (out of processes or memory) has no exit.
    child.on('error', (error) => {
      if (child?.pid === undefined) restart(error.message);
    });
  };
  start();

  return {
    get pid() {
      return child?.pid;
    },
    async stop() {
      stopping = true;
      clearTimeout(timer);
      if (child !== undefined) await endGracefully(child);
    },
  };
}

async function endGracefully(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
