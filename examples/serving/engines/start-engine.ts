import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngineClient, type EngineClient } from './engine-client.ts';

/** Largest rank of an adapter, for the serving profile and for `--max-lora-rank`. */
export const MAX_RANK = 64;

/** Time for an engine to end after SIGTERM, in milliseconds. SIGKILL follows. */
const STOP_MS = 10_000;
const POLL_MS = 200;

/** Command that starts engines. */
export interface EngineCommand {
  /** A command such as `vllm serve`, which is given the model and options; null starts the stand-in. */
  readonly program: string | null;
  /** Further options, which come last. */
  readonly options: readonly string[];
}

export interface EngineOptions {
  /** Folder of the base model. */
  readonly model: string;
  readonly servingName: string;
  readonly command: EngineCommand;
  readonly signal: AbortSignal;
}

/** Running engine of one base model version. In production, a pool of engines takes its place. */
export interface RunningEngine extends EngineClient {
  readonly url: string;
  readonly servingName: string;
  stop(): Promise<void>;
}

/** Starts an engine as a process group of its own, and waits until it answers. @throws Error if it ends before */
export async function startEngine({ model, servingName, command, signal }: EngineOptions): Promise<RunningEngine> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const where = ['--served-model-name', servingName, '--host', '127.0.0.1', '--port', String(port)];
  const options = [model, ...where, '--enable-lora', '--max-lora-rank', String(MAX_RANK), ...command.options];
  const child = command.program === null ? startStandIn(options) : startCommand(command.program, options);
  const engine = { ...createEngineClient(url), url, servingName, stop: () => stopGroup(child) };
  try {
    while (!(await engine.isUp())) {
      signal.throwIfAborted();
      if (hasEnded(child))
        throw new Error(`the engine of ${servingName} ended with ${child.exitCode ?? child.signalCode}`);
      await sleep(POLL_MS);
    }
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

function startStandIn(options: readonly string[]): ChildProcess {
  const program = path.join(import.meta.dirname, 'stand-in.ts');
  return spawn(process.execPath, ['--import', 'tsx', program, ...options], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  });
}

/** Starts a command of one or more words through a shell. Its output goes to stderr. */
function startCommand(program: string, options: readonly string[]): ChildProcess {
  const env = { ...process.env, VLLM_ALLOW_RUNTIME_LORA_UPDATING: 'True' };
  return spawn('sh', ['-c', `exec ${program} "$@"`, 'sh', ...options], { env, stdio: ['pipe', 2, 2], detached: true });
}

/** Ends the engine and the processes that it has started. */
async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const isGone = (): boolean => hasEnded(child);
  if (!isGone()) {
    const ended = once(child, 'exit');
    signalGroup(child.pid, 'SIGTERM');
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
  }
  signalGroup(child.pid, 'SIGKILL');
}

function signalGroup(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(-pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
