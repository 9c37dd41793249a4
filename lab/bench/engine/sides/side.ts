import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { SideMethods, SideName } from './side-protocol.ts';

const ROOT = path.join(import.meta.dirname, '../../../..');

/**
 * Environment of PyTorch's processes. Waiting threads must not spin: with OpenMP's default, PyTorch's f32 steps were 20
 * times slower on two busy cores, and a side that waits for its turn would slow down the side that has it.
 */
const PYTHON_ENVIRONMENT = {
  OMP_WAIT_POLICY: 'PASSIVE',
  TOKENIZERS_PARALLELISM: 'false',
  HF_HUB_OFFLINE: '1',
  TRANSFORMERS_VERBOSITY: 'error',
  TQDM_DISABLE: '1',
  PYTHONWARNINGS: 'ignore',
  PYTHONDONTWRITEBYTECODE: '1',
};

export interface SideOptions {
  /** Path of the Python interpreter. PyTorch's sides need one. */
  readonly python?: string | null;
  /** Folder of the engine's graph cache. Default: no cache. */
  readonly graphCache?: string;
}

/** Competitor in a process of its own, which idles until it gets a request. */
export class Side {
  readonly name: SideName;
  /** `performance.now()` at the start of the process. */
  readonly started = performance.now();
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;

  constructor(name: SideName, options: SideOptions = {}) {
    this.name = name;
    const [command, args, environment] = commandLine(name, options);
    this.#child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    // Writing to a dead process fails. `call` finds the end of its output and reports it.
    this.#child.stdin.on('error', () => undefined);
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Sends one request and waits for its answer. @throws Error with the side's own stack trace */
  async call<M extends keyof SideMethods>(
    method: M,
    params: SideMethods[M]['params'],
  ): Promise<SideMethods[M]['result']> {
    this.#child.stdin.write(`${JSON.stringify({ method, params })}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`the process of ${this.name} ended during ${method}`);
    const message = JSON.parse(line.value) as { result: SideMethods[M]['result'] } | { error: string };
    if ('error' in message) throw new Error(`${this.name} ${method}: ${message.error}`);
    return message.result;
  }

  async stop(): Promise<void> {
    const runs = this.#child.exitCode === null && this.#child.signalCode === null;
    const gone = runs ? once(this.#child, 'exit') : null;
    this.#child.stdin.end();
    await gone;
    this.#reader.close();
  }
}

function commandLine(
  name: SideName,
  { python, graphCache = 'off' }: SideOptions,
): [string, string[], Record<string, string>] {
  const [kind, precision] = name.split('-') as [string, string];
  if (kind === 'readapt') {
    const environment = { READAPT_PRECISION: precision, READAPT_GRAPH_CACHE: graphCache };
    return [process.execPath, ['--import', 'tsx', path.join(import.meta.dirname, 'readapt-side.ts')], environment];
  }
  if (!python) throw new Error(`the side ${name} needs a Python interpreter, and none was given`);
  return [python, [path.join(import.meta.dirname, 'torch_side.py'), precision], PYTHON_ENVIRONMENT];
}
