import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Methods } from './protocol.ts';

const ROOT = path.join(import.meta.dirname, '../../..');
const SERVER = path.join(import.meta.dirname, '../python/serve.py');

const HOW_TO = `The interop suite compares Readapt with PyTorch, transformers and PEFT and needs a Python that has them:
  python3 -m venv .venv && .venv/bin/pip install -r test/interop/python/requirements.txt
or name another one: READAPT_INTEROP_PYTHON=/path/to/python npm run test:interop`;

const ENVIRONMENT = {
  OMP_NUM_THREADS: '1',
  TOKENIZERS_PARALLELISM: 'false',
  HF_HUB_OFFLINE: '1',
  HF_HUB_DISABLE_TELEMETRY: '1',
  TRANSFORMERS_VERBOSITY: 'error',
  TQDM_DISABLE: '1',
  PYTHONWARNINGS: 'ignore::FutureWarning,ignore::DeprecationWarning',
  PYTHONDONTWRITEBYTECODE: '1',
};

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A Python process that computes with the reference libraries. It serves one request at a time, in order. */
export class Reference {
  readonly #child: Child;
  readonly #reader: Interface;
  readonly #lines: AsyncIterator<string>;
  #latest: Promise<unknown> = Promise.resolve();

  private constructor(child: Child) {
    this.#child = child;
    this.#reader = createInterface({ input: child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** @throws Error that says how to make the environment, if no Python has the necessary packages */
  static async start(): Promise<Reference> {
    const python = findPython();
    const child = spawn(python, [SERVER], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...ENVIRONMENT },
    });
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause) =>
        reject(new Error(`${python} does not start: ${cause.message}\n${HOW_TO}`, { cause })),
      );
    });
    const reference = new Reference(child);
    const { missing } = (await reference.#receive()) as { missing: string[] };
    if (missing.length === 0) return reference;
    await reference.stop();
    throw new Error(`${python} lacks ${missing.join(', ')}.\n${HOW_TO}`);
  }

  /** @throws Error with the Python traceback */
  call<M extends keyof Methods>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    const answer = this.#latest.then(async () => {
      this.#child.stdin.write(`${JSON.stringify({ method, params })}\n`);
      const message = (await this.#receive()) as { result: Methods[M]['result'] } | { error: string };
      if ('error' in message) throw new Error(`${method}: ${message.error}`);
      return message.result;
    });
    this.#latest = answer.catch(() => undefined);
    return answer;
  }

  /** Lets the process finish its request and end. */
  async stop(): Promise<void> {
    await this.#latest;
    const gone = this.#child.exitCode === null && new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin.end();
    this.#reader.close();
    await gone;
  }

  async #receive(): Promise<unknown> {
    const line = await this.#lines.next();
    if (line.done) throw new Error(`the Python process ended without an answer.\n${HOW_TO}`);
    return JSON.parse(line.value);
  }
}

function findPython(): string {
  const named = process.env.READAPT_INTEROP_PYTHON;
  if (named) return named;
  const local = path.join(ROOT, '.venv/bin/python');
  if (existsSync(local)) return local;
  throw new Error(`${local} does not exist.\n${HOW_TO}`);
}
