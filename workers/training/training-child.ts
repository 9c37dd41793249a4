import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { Logger } from '../../src/lib/logger.ts';
import { saysOutOfMemory } from '../training/out-of-memory.ts';
import type { ChildMessage, FinalMessage, ParentMessage } from '../training/protocol.ts';
import type { BaseCacheOptions } from '../../core/engine/base-cache.ts';
import { abortable } from './abortable.ts';
import { watchResidentSet, type ResidentSetWatch } from './resident-set.ts';
import { crashOf, isAbandoned, TrainingCrashedError, TrainingFailedError } from './training-errors.ts';

type Request = Extract<ParentMessage, { type: 'adapt' | 'evolve' | 'describe' }>;
export type RequestBody = Request extends infer R ? (R extends Request ? Omit<R, 'requestId'> : never) : never;
/** What is said of a request, and not of the process. */
type RequestMessage = Extract<ChildMessage, { requestId: string }>;
export type StreamMessage = Exclude<RequestMessage, FinalMessage>;
type Outcome = Extract<ChildMessage, { type: 'outcome' }>;

export interface ChildOptions {
  /** Script of the training process. */
  entry: string;
  /** Given as JSON in its first argument. */
  bases: BaseCacheOptions;
  logger: Logger;
  /** How long the process may take until it listens. */
  startTimeoutMs: number;
  /** How long a cancelled request whose work is to be kept may take to end before the process is killed. */
  cancelGraceMs: number;
  /** The same for one whose work nobody needs any more. */
  abandonGraceMs: number;
}

/** Last lines of standard error that are kept, to say why a process died. */
const TAIL_LINES = 20;

/** Runs the TypeScript sources as they are, wherever the current folder is. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** One training process: lives until it is stopped or dies, and answers one request at a time. */
export class TrainingChild {
  readonly #child: ChildProcess;
  readonly #options: ChildOptions;
  readonly #tail: string[] = [];
  readonly #resident: ResidentSetWatch;
  readonly #online: Promise<void>;
  #receive: ((message: ChildMessage) => void) | null = null;
  #failure: TrainingCrashedError | null = null;
  #stopping = false;
  /** Whether this side has sent SIGKILL. */
  #killed = false;
  #abandoned = false;
  #outOfMemoryLine: string | null = null;
  #onDeath: ((error: TrainingCrashedError) => void)[] = [];

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#child = fork(options.entry, [JSON.stringify(options.bases)], {
      execArgv: ['--import', TSX],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
    });
    this.#resident = watchResidentSet(this.#child.pid);
    this.#listen();
    this.#online = this.#waitUntilOnline();
    this.#online.catch(() => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#failure === null;
  }

  /** Whether the process was killed in the middle of a request whose work nobody needed any more. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Has base models loaded that the next request probably needs. */
  async preload(bases: readonly string[]): Promise<void> {
    await this.#online;
    this.#send({ type: 'preload', bases });
  }

  /**
   * Sends a request and gives its messages to `onMessage`, one after the other. A `publish` is acknowledged when
   * `onMessage` has resolved; when it throws, the request is cancelled and this rejects with what it threw.
   *
   * @param signal cancels the request, the outcome then says so; its reason decides for how long it is waited for
   * @throws TrainingFailedError, TrainingCrashedError, or what `onMessage` threw
   */
  async request(
    body: RequestBody,
    onMessage: (message: StreamMessage) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    await abortable(this.#online, signal);
    const requestId = randomUUID();
    const cancel = this.#canceller(requestId);
    let refusal: { error: unknown } | null = null;
    let chain = Promise.resolve();
    const handle = async (message: StreamMessage): Promise<void> => {
      if (refusal !== null) return;
      try {
        await onMessage(message);
        if (message.type === 'publish') this.#send({ type: 'published', requestId, sequence: message.sequence });
      } catch (error) {
        refusal = { error };
        cancel.now(error);
      }
    };
    const onAbort = (): void => cancel.now(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const final = await new Promise<FinalMessage>((resolve, reject) => {
        this.#onDeath.push(reject);
        this.#receive = (message) => {
          if (!('requestId' in message) || message.requestId !== requestId) return;
          if (message.type === 'outcome' || message.type === 'error') resolve(message);
          else chain = chain.then(() => handle(message));
        };
        this.#send({ ...body, requestId });
        if (this.#failure !== null) reject(this.#failure);
        if (signal.aborted) onAbort();
      });
      await chain;
      // TypeScript does not see that `handle` assigns it.
      const refused = refusal as { error: unknown } | null;
      if (refused !== null) throw refused.error;
      if (final.type === 'error') throw new TrainingFailedError(final);
      return final;
    } catch (error) {
      await chain;
      const refused = refusal as { error: unknown } | null;
      throw refused === null ? error : refused.error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      cancel.clear();
      this.#receive = null;
      this.#onDeath = [];
    }
  }

  /** Lets the process end itself, and kills it if it does not. */
  async stop(graceMs = 5000): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#kill(), graceMs);
    await gone;
    clearTimeout(timer);
  }

  #send(message: ParentMessage): void {
    // A failed send means that the process is gone, which its exit reports.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** Asks once for the request to end; kills the process if it does not end in time. */
  #canceller(requestId: string): { now: (reason: unknown) => void; clear: () => void } {
    const { logger, cancelGraceMs, abandonGraceMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    return {
      now: (reason) => {
        if (timer !== undefined) return;
        const abandoned = isAbandoned(reason);
        this.#send({ type: 'cancel', requestId, keep: !abandoned });
        if (abandoned) timer = setTimeout(() => this.#abandon(), abandonGraceMs);
        else {
          timer = setTimeout(() => {
            logger.warn({ pid: this.pid }, 'training process does not stop its request: killed');
            this.#kill();
          }, cancelGraceMs);
        }
      },
      clear: () => clearTimeout(timer),
    };
  }

  /** Computes nothing more from here on; what the system takes to free its memory, nobody has to wait for. */
  #abandon(): void {
    this.#abandoned = true;
    this.#kill();
    this.#die('SIGKILL');
  }

  #kill(): void {
    this.#killed = true;
    this.#child.kill('SIGKILL');
  }

  #listen(): void {
    this.#child.on('message', (message) => this.#hear(message as ChildMessage));
    this.#child.on('error', (error) => this.#die(error.message));
    // Unlike 'exit', 'close' comes after the last words on standard error.
    this.#child.once('close', (code, signal) => this.#die(signal ?? `exit code ${code}`));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#note(line));
    }
  }

  #note(line: string): void {
    if (line.trim() === '') return;
    this.#options.logger.debug({ pid: this.pid }, line);
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    if (saysOutOfMemory(line)) this.#outOfMemoryLine ??= line;
  }

  #die(reason: string): void {
    if (this.#failure !== null) return;
    this.#resident.stop();
    const killed = this.#killed || this.#stopping;
    const residentBytes = this.#resident.bytes;
    this.#failure = crashOf({ reason, killed, outOfMemoryLine: this.#outOfMemoryLine, residentBytes });
    const { logger } = this.#options;
    if (this.#stopping) logger.debug({ pid: this.pid, reason }, 'training process stopped');
    else if (this.#abandoned) logger.info({ pid: this.pid }, 'training process killed: nobody needs its work any more');
    else logger.warn({ pid: this.pid, reason, residentBytes, stderr: this.#tail.join('\n') }, 'training process ended');
    for (const reject of this.#onDeath) reject(this.#failure);
    this.#onDeath = [];
  }

  #hear(message: ChildMessage): void {
    if (message.type !== 'loaded') return this.#receive?.(message);
    const { folder, precision, reason } = message;
    this.#options.logger.info({ base: folder, precision, reason }, 'base loaded');
  }

  #waitUntilOnline(): Promise<void> {
    const { startTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new TrainingCrashedError(`the training process did not come up within ${startTimeoutMs} ms`));
        this.#kill();
      }, startTimeoutMs);
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        then();
      };
      this.#onDeath.push((error) => settle(() => reject(error)));
      this.#receive = (message) => {
        if (message.type === 'online') settle(resolve);
      };
    });
  }
}
