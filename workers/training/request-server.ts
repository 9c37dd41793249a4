import { describeBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { CancelledError, runAdaptation } from '../../core/adaptation/adaptation.ts';
import { errorFields } from './error-fields.ts';
import { evolve } from '../../core/adaptation/evolve.ts';
import { createMessageListener } from './message-listener.ts';
import type { ChildMessage, FinalMessage, ParentMessage } from './protocol.ts';
import type { BaseCache } from '../../core/engine/base-cache.ts';

type Request = Extract<ParentMessage, { spec: unknown }>;

interface Running {
  readonly requestId: string;
  readonly controller: AbortController;
  /** Called when the parent has made publication number `sequence` durable. */
  published: (sequence: number) => void;
}

/** Serves requests of a parent; `send` hands a message over to it. */
export class RequestServer {
  readonly #bases: BaseCache;
  readonly #send: (message: ChildMessage) => void;
  #running: Running | null = null;

  constructor(bases: BaseCache, send: (message: ChildMessage) => void) {
    this.#bases = bases;
    this.#send = send;
  }

  /** Takes one message of the parent; requests are answered with messages, never by an exception. */
  async receive(message: ParentMessage): Promise<void> {
    if (message.type === 'preload') return this.#preload(message.bases);
    if (message.type === 'cancel') {
      if (this.#running?.requestId === message.requestId) this.#running.controller.abort(new CancelledError(message));
      return;
    }
    if (message.type === 'published') {
      if (this.#running?.requestId === message.requestId) this.#running.published(message.sequence);
      return;
    }
    if (this.#running) {
      const text = `request ${this.#running.requestId} is running, expected one request at a time`;
      this.#send({ type: 'error', requestId: message.requestId, code: 'busy', message: text, permanent: false });
      return;
    }
    const running: Running = {
      requestId: message.requestId,
      controller: new AbortController(),
      published: () => undefined,
    };
    this.#running = running;
    const answer = await this.#answer(message, running);
    this.#running = null;
    this.#send(answer);
  }

  async #preload(bases: readonly string[]): Promise<void> {
    for (const base of bases) await this.#bases.load(base).catch(() => undefined);
  }

  async #answer(request: Request, running: Running): Promise<FinalMessage> {
    const { requestId } = request;
    const { signal } = running.controller;
    try {
      switch (request.type) {
        case 'adapt': {
          const listener = createMessageListener(
            requestId,
            this.#send,
            signal,
            (resolve) => (running.published = resolve),
          );
          const outcome = await runAdaptation(this.#bases, request.spec, listener, signal);
          return { type: 'outcome', requestId, request: 'adapt', outcome };
        }
        case 'evolve':
          return { type: 'outcome', requestId, request: 'evolve', outcome: await evolve(request.spec, signal) };
        case 'describe': {
          const { config, fingerprint, parameters } = await describeBaseModel(request.spec.base);
          return { type: 'outcome', requestId, request: 'describe', outcome: { config, fingerprint, parameters } };
        }
      }
    } catch (error) {
      return { type: 'error', requestId, ...errorFields(error) };
    }
  }
}
