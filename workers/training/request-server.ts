import { measureBaselines } from '../../core/adaptation/baselines.ts';
import { evolve } from '../../core/adaptation/evolutions.ts';
import type { JobEvent, JobEventHandler } from '../../core/adaptation/job-events.ts';
import { measureOutcomes } from '../../core/adaptation/measurements/version-outcomes.ts';
import { makeProvisional } from '../../core/adaptation/provisional.ts';
import { CancelledError, runAdaptation } from '../../core/adaptation/run-adaptation.ts';
import type { BaseCache } from '../../core/engine/base-cache.ts';
import { describeBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { NO_TRACING, type Tracing } from '../../src/platform/tracing/tracing.ts';
import { toFailure } from './failure.ts';
import type { FinalMessage, Request, TrainingMessage, WorkerMessage } from './protocol.ts';

/** Request that the training process is working on. */
interface Running {
  readonly requestId: string;
  readonly controller: AbortController;
  /** Function to call when the worker reports that a publication is durable, with the publication's number. */
  onPublished: (number: number) => void;
}

/** Serves a worker's requests in the training process, one at a time. `send` passes a message to the worker. */
export class RequestServer {
  readonly #bases: BaseCache;
  readonly #send: (message: TrainingMessage) => void;
  readonly #tracing: Tracing;
  #running: Running | null = null;

  constructor(bases: BaseCache, send: (message: TrainingMessage) => void, tracing: Tracing = NO_TRACING) {
    this.#bases = bases;
    this.#send = send;
    this.#tracing = tracing;
  }

  /**
   * Processes one message of the worker. If a request fails, the worker gets an `error` message; the method never
   * rejects.
   */
  async receive(message: WorkerMessage): Promise<void> {
    switch (message.type) {
      case 'preload':
        for (const base of message.bases) await this.#bases.load(base).catch(() => undefined);
        return;
      case 'cancel':
        if (this.#isRunning(message)) this.#running?.controller.abort(new CancelledError(message));
        return;
      case 'published':
        if (this.#isRunning(message)) this.#running?.onPublished(message.number);
        return;
      default:
        return this.#serve(message);
    }
  }

  #isRunning({ requestId }: { readonly requestId: string }): boolean {
    return this.#running?.requestId === requestId;
  }

  async #serve(request: Request): Promise<void> {
    const { requestId } = request;
    if (this.#running) {
      const message = `request ${this.#running.requestId} is still running, expected one request at a time`;
      this.#send({ type: 'error', requestId, code: 'busy', message, permanent: false });
      return;
    }
    const running: Running = { requestId, controller: new AbortController(), onPublished: () => undefined };
    this.#running = running;
    const span = this.#tracing.begin(`training.${request.type}`, { parent: request.traceparent });
    const final = await this.#answer(request, running);
    span.end(final.type === 'error' ? final.code : undefined);
    this.#running = null;
    this.#send(final);
    // The process may end at any time, so nothing waits for its spans.
    void this.#tracing.flush();
  }

  async #answer(request: Request, running: Running): Promise<FinalMessage> {
    const { requestId } = request;
    const { signal } = running.controller;
    try {
      switch (request.type) {
        case 'adapt': {
          const outcome = await runAdaptation(this.#bases, request.spec, this.#relay(running), signal);
          return { type: 'outcome', requestId, request: 'adapt', outcome };
        }
        case 'baselines': {
          const outcome = await measureBaselines(this.#bases, request.spec, signal);
          return { type: 'outcome', requestId, request: 'baselines', outcome };
        }
        case 'outcomes': {
          const outcome = await measureOutcomes(this.#bases, request.spec, signal);
          return { type: 'outcome', requestId, request: 'outcomes', outcome };
        }
        case 'provisional': {
          const outcome = await makeProvisional(this.#bases, request.spec, signal);
          return { type: 'outcome', requestId, request: 'provisional', outcome };
        }
        case 'evolve':
          return {
            type: 'outcome',
            requestId,
            request: 'evolve',
            outcome: await evolve(request.spec, { signal, verified: this.#bases.verified }),
          };
        case 'describe': {
          const { verified } = this.#bases;
          const { config, fingerprint, parameters } = await describeBaseModel(request.spec.base, { verified });
          return { type: 'outcome', requestId, request: 'describe', outcome: { config, fingerprint, parameters } };
        }
      }
    } catch (error) {
      return { type: 'error', requestId, ...toFailure(error) };
    }
  }

  /** Passes a job's events to the worker. A publication waits until the worker reports that it is durable. */
  #relay(running: Running): JobEventHandler {
    const { requestId, controller } = running;
    const send = (event: JobEvent): void => this.#send({ type: 'event', requestId, event });
    return (event) => {
      if (event.type !== 'publication') return send(event);
      return new Promise<void>((resolve, reject) => {
        const { signal } = controller;
        const abort = (): void => reject(signal.reason as Error);
        // A worker that cancelled while the candidate was being written does not answer any more.
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        running.onPublished = (number) => {
          if (number !== event.number) return;
          signal.removeEventListener('abort', abort);
          resolve();
        };
        send(event);
      });
    };
  }
}
