import { fork, type ChildProcess } from 'node:child_process';
import { packagePath } from '../../core/installation/package-path.ts';

const COMMAND = packagePath('bin/readapt.js');
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** Running time after which a worker counts as healthy, so that its next restart is quick again, in milliseconds. */
const HEALTHY_AFTER_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;

export interface SupervisedWorker {
  /** Process id of the running worker, if there is one. */
  readonly pid: number | undefined;
  /** Asks the worker to end, and kills it if it has not ended within 30 s. */
  stop(): Promise<void>;
}

/**
 * Keeps one `readapt worker` running as a process of its own. Restarts a worker that dies, for example of `kill -9` or
 * for lack of memory, but not one that was drained. Interrupted jobs resume from their checkpoints.
 * @param command module that runs the worker (default: the command of this package)
 */
export function superviseWorker(
  env: NodeJS.ProcessEnv,
  log: (line: string) => void,
  command = COMMAND,
): SupervisedWorker {
  let child: ChildProcess | undefined;
  let stopping = false;
  let delayMs = FIRST_DELAY_MS;
  let timer: NodeJS.Timeout | undefined;

  const start = (): void => {
    const startedAt = Date.now();
    // The worker has a process group of its own, so that Ctrl-C at the terminal reaches only this process, which then
    // ends the worker.
    child = fork(command, ['worker'], { env, detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const restart = (reason: string, code: number | null = null): void => {
      if (child === undefined) return;
      child = undefined;
      if (stopping) return;
      if (code === 0) return log('worker ended: it was drained, and the next start of the service brings another');
      delayMs = Date.now() - startedAt > HEALTHY_AFTER_MS ? FIRST_DELAY_MS : Math.min(delayMs * 2, LONGEST_DELAY_MS);
      log(`worker ended (${reason}), restarting it in ${delayMs} ms`);
      timer = setTimeout(start, delayMs);
    };
    child.once('exit', (code, signal) => restart(signal ?? `exit code ${code}`, code));
    // A process that cannot be spawned, for lack of processes or memory, emits no exit event.
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
