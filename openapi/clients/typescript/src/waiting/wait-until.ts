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
  /** Signal that ends the wait. The work in the service goes on. */
  readonly signal?: AbortSignal;
  /** Longest time to wait, in milliseconds. Default: no limit. */
  readonly timeoutMs?: number;
  /** Called with the resource as it is first read, and after each change that is noticed. */
  readonly onChange?: (resource: Resource) => void;
  /**
   * Means of noticing changes: `stream` (default) follows a stream of events, and polls if there is none; `poll` only
   * polls.
   */
  readonly transport?: 'stream' | 'poll';
}

interface Target<Resource> {
  /** Address of the resource, with `{id}`. */
  readonly url: string;
  readonly id: string;
  readonly events: EventSource;
  readonly isOver: (resource: Resource) => boolean;
}

/**
 * Delays between two requests while nothing changes. If a stream reports every change, the interval is
 * STREAMED_POLL_MS.
 */
const POLLS = { firstDelayMs: 1000, maxDelayMs: 15_000 };
const STREAMED_POLL_MS = 60_000;

/**
 * Reads a resource until it is over. Its `ETag` makes a poll cheap while nothing changes. A stream of its events, if
 * available, triggers the next read at once after a change; if it reports all changes, polls become rare. Once the
 * resource has been seen, an unreachable service does not end the waiting.
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
    const trigger = options.transport === 'poll' ? timedTrigger(signal) : eventTrigger(options.client, target, signal);
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
      await trigger.next(unchanged);
    }
  } catch (error) {
    if (timedOut.signal.aborted && !options.signal?.aborted) throw new WaitTimeoutError(timeoutMs!, last);
    throw error;
  } finally {
    clearTimeout(timer);
    ended.abort();
  }
}

/** Whether a fault may be temporary, and tells nothing about the resource, which has been read before. */
function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionError) return true;
  return (error instanceof ProblemError || error instanceof UnexpectedAnswerError) && isTransientStatus(error.status);
}

/** Creates a function that reads a resource; it returns null if the resource is unchanged since the previous read. */
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
    // Without a response, `error` is the reason.
    if ((response as Response | undefined)?.status === 304) return null;
    if (data === undefined) throw error;
    etag = response.headers.get('etag');
    return data;
  };
}

interface ReadTrigger {
  /** Waits until the resource should be read again, after `unchanged` reads without a change. */
  next(unchanged: number): Promise<void>;
}

function timedTrigger(signal: AbortSignal): ReadTrigger {
  return { next: (unchanged) => sleep(backoffMs(POLLS, unchanged), signal) };
}

/**
 * Triggers a read when the resource has an event, and when a stream opens, because events may have been missed before.
 * A tenant gets only the events of its own jobs and, if it has jobs in the rollout, the rollout's end. So every event
 * of a rollout triggers a read until one of the rollout itself arrives, and until then the stream does not replace
 * polling.
 */
function eventTrigger(
  client: ReadaptClient,
  { id, events }: Pick<Target<unknown>, 'id' | 'events'>,
  signal: AbortSignal,
): ReadTrigger {
  let isOpen = false;
  let tellsAll = events.rolloutId === undefined;
  let hasFired = false;
  let wake = (): void => undefined;
  const fire = (): void => {
    hasFired = true;
    wake();
  };
  const onConnection = (open: boolean): void => {
    isOpen = open;
    fire();
  };
  const follow = async (): Promise<void> => {
    for await (const event of followEvents({ client, ...events, signal, onConnection })) {
      const isOwn = event.subject_id === id;
      if (isOwn || !tellsAll) fire();
      tellsAll ||= isOwn;
    }
  };
  // A refusal of the stream is ignored: either the next read meets it as well, or it is no reason to stop polling.
  follow().catch(() => undefined);
  return {
    async next(unchanged) {
      const pause = new AbortController();
      wake = () => pause.abort();
      if (!hasFired) {
        const delayMs = isOpen && tellsAll ? STREAMED_POLL_MS : backoffMs(POLLS, unchanged);
        await sleep(delayMs, anySignal([signal, pause.signal])).catch(() => signal.throwIfAborted());
      }
      hasFired = false;
    },
  };
}
