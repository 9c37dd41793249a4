import type { ReadaptClient } from '../create-client.ts';
import { backoffMs, sleep } from '../delays.ts';
import { ProblemError } from '../errors.ts';
import type { Event } from '../generated/types.gen.ts';
import { anySignal } from '../signals.ts';
import { readStream, type EventSource } from './event-stream.ts';

export interface FollowEventsOptions extends EventSource {
  readonly client: ReadaptClient;
  /**
   * Position after which the events begin: a `sequence`, or `0` for the oldest event that is kept. Default: from now
   * on.
   */
  readonly after?: string;
  /** Ends the stream. */
  readonly signal?: AbortSignal;
  /** Called with true when a connection opens, and with false when it is lost. */
  readonly onConnection?: (isOpen: boolean) => void;
}

const BACKOFF = { firstDelayMs: 1000, maxDelayMs: 30_000 };
/** Statuses of refusals that may be temporary. */
const TRANSIENT_STATUSES = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Follows events as they happen. After an interruption it resumes where it was, so that each event comes exactly once.
 * It ends when its signal aborts, an error is thrown, or the caller leaves the loop.
 * @throws ProblemError if the service refuses for good, for example `unauthorized`, `not_found`, or `position_expired`,
 * which names the position from which events are kept; the reason of the signal
 */
export async function* followEvents(options: FollowEventsOptions): AsyncGenerator<Event, void> {
  const { onConnection, ...stream } = options;
  const left = new AbortController();
  const signal = options.signal === undefined ? left.signal : anySignal([options.signal, left.signal]);
  let lastId: string | null = null;
  let failures = 0;
  try {
    for (;;) {
      let isOpen = false;
      let askedMs = 0;
      try {
        for await (const { id, event } of readStream({ ...stream, lastId, signal })) {
          if (!isOpen) onConnection?.((isOpen = true));
          lastId = id;
          if (event !== null) yield event;
        }
      } catch (error) {
        signal.throwIfAborted();
        askedMs = delayAfter(error);
      }
      if (isOpen) onConnection?.(false);
      failures = isOpen ? 1 : failures + 1;
      await sleep(askedMs + backoffMs(BACKOFF, failures), signal);
    }
  } finally {
    left.abort();
  }
}

/**
 * Delay that the service asks for after it has refused a connection, in milliseconds; 0 after a network fault.
 * @throws the refusal if it is permanent
 */
function delayAfter(error: unknown): number {
  if (!(error instanceof ProblemError)) return 0;
  if (!TRANSIENT_STATUSES.has(error.status)) throw error;
  return error.retryAfterMs ?? 0;
}
