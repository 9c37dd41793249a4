import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { forkModule, modulePath } from '../../../../core/installation/child-module.ts';
import { AppError, unprocessable } from '../../../platform/contract/errors.ts';
import type { Logger } from '../../../lib/logger.ts';
import type { InspectedAdapter, InspectionAnswer, InspectionMessage, InspectionRequest } from './protocol.ts';

export interface InspectionLimits {
  readonly memoryBytes: number;
  /** Time limit for one inspection in milliseconds. The start of the child process does not count. */
  readonly timeoutMs: number;
}

const ENTRY = modulePath('./inspect-in-process', import.meta.url);
const MEMORY_INTERVAL_MS = 50;
const START_TIMEOUT_MS = 60_000;
/**
 * Share of a child process's memory limit that the heap of JavaScript may take. The rest is for the program and for
 * buffers of file contents.
 */
const HEAP_SHARE = 0.5;
/** Number of characters kept from the end of a child process's standard error, to log why the process died. */
const TAIL_LENGTH = 4000;

/**
 * Child process that inspects adapters, one at a time. Its parent process can end without waiting for the child, which
 * then ends as well.
 */
export class InspectionProcess {
  readonly #child: ChildProcess;
  readonly #limits: InspectionLimits;
  readonly #logger: Logger;
  readonly #online: Promise<unknown>;
  #receive: (message: InspectionMessage) => void = () => undefined;
  #die: (error: AppError) => void = () => undefined;
  #death: AppError | null = null;
  #killed = false;
  /** Limit that the child process exceeded and for which it was killed; null if it exceeded none. */
  #exceeded: 'time' | 'memory' | null = null;
  #tail = '';

  constructor(limits: InspectionLimits, logger: Logger) {
    this.#limits = limits;
    this.#logger = logger;
    const heapMebibytes = Math.floor((HEAP_SHARE * limits.memoryBytes) / 2 ** 20);
    this.#child = forkModule(ENTRY, [], {
      execArgv: [`--max-old-space-size=${heapMebibytes}`],
      env: environment(),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.on('message', (message) => this.#receive(message as InspectionMessage));
    this.#child.on('error', (error) => this.#end(error.message));
    // Unlike 'exit', 'close' comes after the last lines on standard error.
    this.#child.once('close', (code, signal) => this.#end(signal ?? `exit code ${code}`, signal));
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#tail = (this.#tail + text.toString()).slice(-TAIL_LENGTH);
    });
    this.#online = this.#nextMessage(START_TIMEOUT_MS, () => this.#kill());
    this.#online.catch(() => undefined);
    this.#child.unref();
    this.#child.channel?.unref();
    (this.#child.stderr as { unref?: () => void } | null)?.unref?.();
  }

  get alive(): boolean {
    return this.#death === null && !this.#killed;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Inspects one adapter in the child process.
   *
   * @throws an error with the fields of a FormatError if the files are faulty; AppError 503 `inspection_interrupted`,
   *   422 `inspection_timeout` or 422 `inspection_out_of_memory`, after which the child process is gone
   */
  async inspect(request: InspectionRequest): Promise<InspectedAdapter> {
    await this.#online;
    const answered = this.#nextMessage(this.#limits.timeoutMs, () => this.#kill('time'));
    const watch = setInterval(() => void this.#checkMemory(), MEMORY_INTERVAL_MS);
    // If sending fails, the process is gone, and its 'close' event reports that.
    this.#child.send(request, () => undefined);
    try {
      const answer = (await answered) as InspectionAnswer;
      if (answer.type === 'inspected') return answer.inspected;
      if (answer.type === 'fault') throw Object.assign(new Error(answer.fault.message), answer.fault);
      throw new Error(`an adapter could not be inspected: ${answer.message}`);
    } finally {
      clearInterval(watch);
    }
  }

  /** Reads how much physical memory the child process uses, in bytes; 0 if the system does not tell. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8').catch(() => '');
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  }

  async stop(): Promise<void> {
    if (this.#death !== null) return;
    const gone = new Promise<void>((resolve) => this.#child.once('close', () => resolve()));
    this.#child.ref();
    this.#kill();
    await gone;
  }

  /** Waits for the next message of the child process. @throws AppError that says why the child process died */
  #nextMessage(timeoutMs: number, onTimeout: () => void): Promise<InspectionMessage> {
    if (this.#death !== null) return Promise.reject(this.#death);
    const timer = setTimeout(onTimeout, timeoutMs);
    return new Promise<InspectionMessage>((resolve, reject) => {
      this.#receive = resolve;
      this.#die = reject;
    }).finally(() => clearTimeout(timer));
  }

  async #checkMemory(): Promise<void> {
    if ((await this.residentBytes()) > this.#limits.memoryBytes) this.#kill('memory');
  }

  #kill(limit: 'time' | 'memory' | null = null): void {
    this.#killed = true;
    this.#exceeded ??= limit;
    this.#child.kill('SIGKILL');
  }

  #end(reason: string, signal: string | null = null): void {
    if (this.#death !== null) return;
    // Node aborts when JavaScript's heap is full.
    if (signal === 'SIGABRT' || this.#tail.includes('heap out of memory')) this.#exceeded ??= 'memory';
    this.#death = this.#exceeded === null ? interrupted() : exceeded(this.#exceeded, this.#limits);
    const details = { pid: this.pid, reason, exceeded: this.#exceeded, stderr: this.#tail };
    if (this.#killed && this.#exceeded === null) this.#logger.debug(details, 'inspection process stopped');
    else this.#logger.warn(details, 'inspection process ended');
    this.#die(this.#death);
  }
}

/**
 * Makes the environment of the child process, which has only a few harmless variables. The variables of this process
 * hold passwords, and the child reads files that strangers made.
 */
function environment(): NodeJS.ProcessEnv {
  const kept = ['HOME', 'PATH', 'SystemRoot', 'TEMP', 'TMPDIR'];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

function exceeded(limit: 'time' | 'memory', { memoryBytes, timeoutMs }: InspectionLimits): AppError {
  if (limit === 'time') {
    const message =
      `checking the adapter's files took longer than ${timeoutMs} ms ` +
      '(READAPT_INSPECTION_TIMEOUT_MS), so it was ended';
    return unprocessable('inspection_timeout', message, { limit_ms: timeoutMs });
  }
  const message =
    `checking the adapter's files took more than ${memoryBytes} bytes of memory (READAPT_INSPECTION_MEMORY), so it ` +
    'was ended';
  return unprocessable('inspection_out_of_memory', message, { limit_bytes: memoryBytes });
}

function interrupted(): AppError {
  return new AppError({
    code: 'inspection_interrupted',
    status: 503,
    message: "the process that checks the adapter's files has ended: try again",
    details: { retry_after_ms: 1000 },
  });
}
