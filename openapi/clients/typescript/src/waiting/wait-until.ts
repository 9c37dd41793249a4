import { SECURITY, type ReadaptClient } from '../create-client.ts';
import { backoffMs, sleep } from '../delays.ts';
import { ConnectionError, ProblemError, UnexpectedAnswerError } from '../errors.ts';
import type { EventSource } from '../events/event-stream.ts';
import { followEvents } from '../events/follow-events.ts';
import { isTransientStatus } from '../retries.ts';
import { anySignal } from '../signals.ts';
import { WaitTimeoutError } from './errors.ts';

export interface WaitOptions<Resource> {
  readonly client: ReadaptClient;
  /** Ends the waiting; the work in the service goes on. */
  readonly signal?: AbortSignal;
  /** For how long to wait, in milliseconds; without end by default. */
  readonly timeoutMs?: number;
  /** Called with what is waited for, first as it is and then after each change that is seen. */
  readonly onChange?: (resource: Resource) => void;
  /** `stream` (default) hears of changes by a stream of events and polls where there is none; `poll` only polls. */
  readonly transport?: 'stream' | 'poll';
}

interface Target<Resource> {
  /** Address of the resource, with `{id}`. */
  readonly url: string;
  readonly id: string;
  readonly events: EventSource;
  readonly isOver: (resource: Resource) => boolean;
}

/** How long to wait between two requests: at first, while nothing changes, and while a stream of events would tell of all changes. */
const POLLS = { firstDelayMs: 1000, maxDelayMs: 15_000 };
const STREAMED_POLL_MS = 60_000;

/**
 * Asks for a resource until it is over. Its `ETag` makes that cheap while nothing changes; a stream of its events, if one can be had,
 * makes the next request come at once after a change and, if it tells of all changes, seldom without one. Once the resource has been
 * seen, a service that cannot be reached does not end the waiting.
 *
 * @throws WaitTimeoutError; ProblemError; the reason of the signal
 */
export async function waitUntil<Resource extends { id: string; state: string }>(
  target: Target<Resource>,
  options: WaitOptions<Resource>,
): Promise<Resource> {
  const { timeoutMs, onChange } = options;
  const ended = new AbortController();
  const timedOut = new AbortController();
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => timedOut.abort(), timeoutMs);
  const signal = anySignal([ended.signal, timedOut.signal, ...(options.signal ? [options.signal] : [])]);
  const read = conditionalReader<Resource>(options.client, target, signal);
  let last: Resource | null = null;
  try {
    const bell = options.transport === 'poll' ? silentBell(signal) : eventBell(options.client, target, signal);
    for (let unchanged = 1; ; unchanged++) {
      const changed = await read().catch((error: unknown) => {
        if (last === null || !isPassing(error)) throw error;
        return null;
      });
      if (changed !== null) {
        last = changed;
        unchanged = 1;
        onChange?.(changed);
        if (target.isOver(changed)) return changed;
      }
      await bell.next(unchanged);
    }
  } catch (error) {
    if (timedOut.signal.aborted && !options.signal?.aborted) throw new WaitTimeoutError(timeoutMs!, last);
    throw error;
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** Whether a fault of the service or on the way to it says nothing of what is waited for, which has been seen before. */
function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionError) return true;
  return (error instanceof ProblemError || error instanceof UnexpectedAnswerError) && isTransientStatus(error.status);
}

/** Reads a resource; null if it has not changed since it was read before. */
function conditionalReader<Resource>(
  client: ReadaptClient,
  { url, id }: { readonly url: string; readonly id: string },
  signal: AbortSignal,
): () => Promise<Resource | null> {
  let etag: string | null = null;
  return async () => {
    const { data, error, response } = await client.get<Resource, unknown, false>({
      url,
      path: { id },
      security: SECURITY,
      headers: etag === null ? {} : { 'if-none-match': etag },
      throwOnError: false,
      signal,
    });
    // Without a response, the error is why none came.
    if ((response as Response | undefined)?.status === 304) return null;
    if (data === undefined) throw error;
    etag = response.headers.get('etag');
    return data;
  };
}

interface Bell {
  /** Waits for the next reason to read the resource, after it has been unchanged for so many readings. */
  next(unchanged: number): Promise<void>;
}

function silentBell(signal: AbortSignal): Bell {
  return { next: (unchanged) => sleep(backoffMs(POLLS, unchanged), signal) };
}

/**
 * Rings when the resource has an event, and when a stream of events was opened, before which something may have happened. A tenant
 * gets those of its own jobs, and of a rollout itself only the end, if it has jobs in it: it rings for all of them until the rollout
 * has one, and does not trust the stream to tell of everything.
 */
function eventBell(
  client: ReadaptClient,
  { id, events }: Pick<Target<unknown>, 'id' | 'events'>,
  signal: AbortSignal,
): Bell {
  let isOpen = false;
  let tellsAll = events.rolloutId === undefined;
  let hasRung = false;
  let wake = (): void => undefined;
  const ring = (): void => {
    hasRung = true;
    wake();
  };
  const onConnection = (open: boolean): void => {
    isOpen = open;
    ring();
  };
  const follow = async (): Promise<void> => {
    for await (const event of followEvents({ client, ...events, signal, onConnection })) {
      const isOwn = event.subject_id === id;
      if (isOwn || !tellsAll) ring();
      tellsAll ||= isOwn;
    }
  };
  // What the service refuses the stream for, the next reading meets as well, or it is no reason to stop polling.
  follow().catch(() => undefined);
  return {
    async next(unchanged) {
      const pause = new AbortController();
      wake = () => pause.abort();
      if (!hasRung) {
        const delayMs = isOpen && tellsAll ? STREAMED_POLL_MS : backoffMs(POLLS, unchanged);
        await sleep(delayMs, anySignal([signal, pause.signal])).catch(() => signal.throwIfAborted());
      }
      hasRung = false;
    },
  };
}
