import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { JobEvent, JobEventHandler } from '../../core/adaptation/job-events.ts';
import { forkModule } from '../../core/installation/child-module.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { SETTINGS } from '../../src/platform/config/settings.ts';
import { currentTraceparent } from '../../src/platform/tracing/current-trace.ts';
import { abortable } from './abortable.ts';
import { saysOutOfMemory } from './out-of-memory.ts';
import type {
  FinalMessage,
  ProcessOptions,
  RequestBody,
  Requests,
  RequestType,
  TrainingMessage,
  WorkerMessage,
} from './protocol.ts';
import { watchResidentSet, type ResidentSetWatch } from './resident-set.ts';
import { crashOf, isAbandoned, isPaused, TrainingCrashedError, TrainingFailedError } from './training-errors.ts';

export interface ChildOptions {
  /** Path of the script that the training process runs. */
  entry: string;
  /**
   * Options of the training process and of the base models that it keeps in memory. The process gets them as JSON in
   * its first argument.
   */
  bases: ProcessOptions;
  logger: Logger;
  /** Address to which the training process sends its trace spans; null if nothing is traced. */
  otlpEndpoint: string | null;
  /** Milliseconds that the process may take from its start until it is ready for requests. */
  startTimeoutMs: number;
  /**
   * Longest time that a cancelled request may take to end, if its work is to be kept, before the process is killed, in
   * milliseconds.
   */
  cancelGraceMs: number;
  /** Longest time that the request of a paused job may take to end before the process is killed, in milliseconds. */
  pauseGraceMs: number;
  /**
   * Longest time that a cancelled request may take to end, if its work is no longer needed, before the process is
   * killed, in milliseconds.
   */
  abandonGraceMs: number;
  /**
   * Called after each change of the bases in the memory of the training process, with the folders of all bases there.
   */
  onLoaded: (folders: readonly string[]) => void;
}

/** Number of latest lines of output that are kept to explain the death of a training process. */
const TAIL_LINES = 20;

/** Training process as its worker sees it. The process answers one request at a time, until it is stopped or dies. */
export class TrainingChild {
  readonly #child: ChildProcess;
  readonly #options: ChildOptions;
  readonly #tail: string[] = [];
  readonly #loaded: string[] = [];
  readonly #resident: ResidentSetWatch;
  readonly #online: Promise<void>;
  #receive: ((message: TrainingMessage) => void) | null = null;
  #failure: TrainingCrashedError | null = null;
  #stopping = false;
  #isOnline = false;
  /** Whether the worker itself has killed the process with SIGKILL. */
  #killed = false;
  #abandoned = false;
  #outOfMemoryLine: string | null = null;
  #onDeath: ((error: TrainingCrashedError) => void)[] = [];

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#child = forkModule(options.entry, [JSON.stringify(options.bases)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'json',
      env: { ...process.env, [SETTINGS.otlpEndpoint.variable]: options.otlpEndpoint ?? '' },
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

  /** Whether the worker killed the process because it did not end a request whose work was no longer needed. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Asks the process to load bases that the next request probably needs, once the process is ready. */
  async preload(bases: readonly string[]): Promise<void> {
    await this.#online;
    this.#send({ type: 'preload', bases });
  }

  /**
   * Sends a request and waits for its outcome. The request's events go to `onEvent`, one after the other; a publication
   * is acknowledged to the process when `onEvent` has resolved. If `onEvent` throws, the request is cancelled.
   * @param signal cancels the request; its reason decides how long the process may take to end it
   * @throws TrainingFailedError, TrainingCrashedError, or the error of `onEvent`
   */
  async request<T extends RequestType>(
    body: RequestBody<T>,
    onEvent: JobEventHandler,
    signal: AbortSignal,
  ): Promise<Requests[T]['outcome']> {
    await abortable(this.#online, signal);
    const requestId = randomUUID();
    const cancel = this.#canceller(requestId);
    const refusals: unknown[] = [];
    let handled = Promise.resolve();
    const handle = async (event: JobEvent): Promise<void> => {
      if (refusals.length > 0) return;
      try {
        await onEvent(event);
        if (event.type === 'publication') this.#send({ type: 'published', requestId, number: event.number });
      } catch (error) {
        refusals.push(error);
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
          if (message.type === 'event') handled = handled.then(() => handle(message.event));
          else resolve(message);
        };
        this.#send({ ...(body as RequestBody), requestId, traceparent: currentTraceparent() });
        if (this.#failure !== null) reject(this.#failure);
        if (signal.aborted) onAbort();
      });
      if (final.type === 'error') throw new TrainingFailedError(final);
      if (final.request !== body.type)
        throw new Error(`the training process answered ${body.type} with ${final.request}`);
      await handled;
      if (refusals.length > 0) throw refusals[0];
      return final.outcome;
    } catch (error) {
      await handled;
      throw refusals.length > 0 ? refusals[0] : error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      cancel.clear();
      this.#receive = null;
      this.#onDeath = [];
    }
  }

  /** Asks the process to end, and kills it if it has not ended after `graceMs` milliseconds. */
  async stop(graceMs = 5000): Promise<void> {
    this.#stopping = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<string>((resolve) =>
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`)),
    );
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#kill(), graceMs);
    const reason = await gone;
    clearTimeout(timer);
    // After `disconnect`, Node 20 emits no 'close'.
    this.#die(reason);
  }

  #send(message: WorkerMessage): void {
    // If sending fails, the process is gone, and its exit is reported elsewhere.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /**
   * Makes two functions for cancelling a request. `now` asks the process to end the request, and kills the process if
   * that takes too long; further calls do nothing. `clear` keeps the process from being killed.
   */
  #canceller(requestId: string): { now: (reason: unknown) => void; clear: () => void } {
    const { logger, cancelGraceMs, pauseGraceMs, abandonGraceMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    return {
      now: (reason) => {
        if (timer !== undefined) return;
        const abandoned = isAbandoned(reason);
        this.#send({ type: 'cancel', requestId, keep: !abandoned });
        if (abandoned) timer = setTimeout(() => this.#abandon(), abandonGraceMs);
        else {
          const graceMs = isPaused(reason) ? pauseGraceMs : cancelGraceMs;
          timer = setTimeout(() => {
            logger.warn({ pid: this.pid }, 'training process killed: it did not end a cancelled request in time');
            this.#kill();
          }, graceMs);
        }
      },
      clear: () => clearTimeout(timer),
    };
  }

  /**
   * Kills the process because its work is no longer needed. The running request fails at once, without waiting until
   * the system has freed the memory.
   */
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
    this.#child.on('message', (message) => this.#hear(message as TrainingMessage));
    this.#child.on('error', (error) => this.#die(error.message));
    // Unlike 'exit', 'close' comes after the last lines on standard error.
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
    const started = this.#isOnline;
    this.#failure = crashOf({ reason, killed, outOfMemoryLine: this.#outOfMemoryLine, residentBytes, started });
    const { logger } = this.#options;
    if (this.#stopping) logger.debug({ pid: this.pid, reason }, 'training process stopped');
    else if (this.#abandoned) logger.info({ pid: this.pid }, 'training process killed: nobody needs its work any more');
    else logger.warn({ pid: this.pid, reason, residentBytes, stderr: this.#tail.join('\n') }, 'training process ended');
    this.#options.onLoaded([]);
    for (const reject of this.#onDeath) reject(this.#failure);
    this.#onDeath = [];
  }

  #hear(message: TrainingMessage): void {
    if (message.type === 'released') {
      // The same folder may be loaded twice, in two precisions.
      const place = this.#loaded.indexOf(message.folder);
      if (place >= 0) this.#loaded.splice(place, 1);
      return this.#options.onLoaded([...this.#loaded]);
    }
    if (message.type !== 'loaded') return this.#receive?.(message);
    this.#loaded.push(message.folder);
    this.#options.onLoaded([...this.#loaded]);
    const { folder, precision, reason, warning } = message;
    this.#options.logger.info({ base: folder, precision, reason }, 'base loaded');
    if (warning !== null) this.#options.logger.warn({ base: folder }, warning);
  }

  #waitUntilOnline(): Promise<void> {
    const { startTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `the training process did not start within ${startTimeoutMs} ms`;
        reject(new TrainingCrashedError(message, null, false));
        this.#kill();
      }, startTimeoutMs);
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        then();
      };
      this.#onDeath.push((error) => settle(() => reject(error)));
      this.#receive = (message) => {
        if (message.type !== 'online') return;
        this.#isOnline = true;
        settle(resolve);
      };
    });
  }
}
