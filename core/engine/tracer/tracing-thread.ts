import type { Worker } from 'node:worker_threads';
import { modulePath, startThread } from '../../installation/child-module.ts';
import { graphKey } from '../cache/graph-key.ts';
import type { ProgramSpec } from '../decoder/program-spec.ts';
import type { ExecutionProvider } from '../devices/execution-provider.ts';

/** A program and the execution provider that runs it. */
export interface ProvidedProgram {
  readonly spec: ProgramSpec;
  readonly provider: ExecutionProvider;
}

/** Request to the tracing thread to trace a program that runs on the CPU. */
export interface TraceRequest extends Pick<ExecutionProvider, 'precision' | 'observes'> {
  readonly key: string;
  readonly spec: ProgramSpec;
}

/**
 * Answer of the tracing thread. The model is null if tracing failed, or if the graph has large constants, which lie
 * outside the model.
 */
export interface TraceAnswer {
  readonly key: string;
  readonly model: Uint8Array | null;
}

/** Idle time after which the thread ends, which frees TensorFlow.js's memory. */
const IDLE_MS = 5000;

type Settle = (model: Uint8Array | null) => void;

/**
 * Traces programs in a worker thread while the main thread reads weights and computes. The thread starts when programs
 * are expected, and ends after being idle for a while. The creator closes it.
 */
export class TracingThread {
  #thread: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  readonly #models = new Map<string, Promise<Uint8Array | null>>();
  readonly #waiting = new Map<string, Settle>();

  /** Starts tracing programs that will be needed soon, in the given order. */
  expect(programs: readonly ProvidedProgram[]): void {
    for (const program of programs) void this.#request(program);
  }

  /**
   * Returns the encoded graph of a program that {@link expect} has announced or, while the thread is running, of any
   * other program that it can trace.
   * @returns null if the caller has to trace the program itself; this includes a failure, so that the caller gets the
   * error
   */
  async take(program: ProvidedProgram): Promise<Uint8Array | null> {
    const key = keyOf(program);
    const { name, keepsWeights } = program.provider;
    const running = this.#thread !== null && name === 'cpu' && !keepsWeights;
    if (!this.#models.has(key) && !running) return null;
    const model = this.#request(program);
    this.#models.delete(key);
    return model;
  }

  /** Waits until nothing is being traced. */
  async idle(): Promise<void> {
    await Promise.all(this.#models.values());
  }

  async close(): Promise<void> {
    await this.#end();
  }

  #request(program: ProvidedProgram): Promise<Uint8Array | null> {
    const key = keyOf(program);
    const known = this.#models.get(key);
    if (known) return known;
    const model = new Promise<Uint8Array | null>((resolve) => void this.#waiting.set(key, resolve));
    this.#models.set(key, model);
    const { precision, observes } = program.provider;
    const request: TraceRequest = { key, spec: program.spec, precision, observes };
    this.#running().postMessage(request);
    return model;
  }

  /** Returns the thread and starts it if necessary. It keeps the process alive only while a request is pending. */
  #running(): Worker {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    if (this.#thread !== null) {
      this.#thread.ref();
      return this.#thread;
    }
    const thread = startThread(modulePath('./tracing-worker', import.meta.url), {});
    thread.on('message', (answer: TraceAnswer) => this.#settle(answer));
    thread.on('error', () => void this.#end());
    thread.on('exit', () => void (this.#thread === thread && this.#end()));
    this.#thread = thread;
    return thread;
  }

  #settle({ key, model }: TraceAnswer): void {
    this.#waiting.get(key)?.(model);
    this.#waiting.delete(key);
    if (this.#waiting.size > 0 || this.#thread === null) return;
    this.#thread.unref();
    this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref();
  }

  /** Ends the thread. Callers that are waiting for a program get null, so that they trace it themselves. */
  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    for (const settle of this.#waiting.values()) settle(null);
    this.#waiting.clear();
    this.#models.clear();
    await thread?.terminate();
  }
}

function keyOf({ spec, provider }: ProvidedProgram): string {
  return graphKey(spec, provider);
}
