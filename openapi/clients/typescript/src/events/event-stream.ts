import { SECURITY, type ReadaptClient } from '../create-client.ts';
import type { Event } from '../generated/types.gen.ts';
import { anySignal, fetchWhole } from '../signals.ts';
import { readBlocks } from './server-sent-events.ts';

/** Selection of events for a stream. Without a rollout or a job, it has all events that the key may see. */
export interface EventSource {
  /** Only events of this rollout and its jobs. */
  readonly rolloutId?: string;
  /** Only events of this job. */
  readonly jobId?: string;
}

interface StreamOptions extends EventSource {
  readonly client: ReadaptClient;
  /** Position after which events are sent, if there is no `lastId`. */
  readonly after?: string;
  /** Last `id` that an earlier connection has received. */
  readonly lastId: string | null;
  readonly signal: AbortSignal;
}

export interface StreamMessage {
  /** Position that the stream has reached. */
  readonly id: string;
  /** Null in the message that opens the stream, and in heartbeats. */
  readonly event: Event | null;
}

/**
 * Longest silence of a connection before it is given up, in milliseconds. The service sends a heartbeat every 15
 * seconds.
 */
const SILENCE_MS = 45_000;

/**
 * Reads one connection to its end.
 * @throws ProblemError if the service refuses it; the network's fault if it is cut or falls silent
 */
export async function* readStream(options: StreamOptions): AsyncGenerator<StreamMessage, void> {
  const silence = new AbortController();
  const giveUp = (): void => silence.abort(new TypeError(`nothing came for ${SILENCE_MS / 1000} seconds`));
  let timer = setTimeout(giveUp, SILENCE_MS);
  try {
    const body = await open(options, anySignal([options.signal, silence.signal]));
    for await (const { id, data } of readBlocks(body)) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, SILENCE_MS);
      if (id !== null) yield { id, event: data === null ? null : (JSON.parse(data) as Event) };
    }
  } finally {
    clearTimeout(timer);
  }
}

async function open(options: StreamOptions, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const { client, after, lastId } = options;
  const { data } = await client.get<ReadableStream<Uint8Array>, unknown, true>({
    ...addressOf(options),
    ...(after === undefined ? {} : { query: { after } }),
    headers: { accept: 'text/event-stream', ...(lastId === null ? {} : { 'last-event-id': lastId }) },
    security: SECURITY,
    parseAs: 'stream',
    fetch: (request) => fetchWhole(client.fetchOnce, request as Request),
    throwOnError: true,
    signal,
  });
  return data;
}

function addressOf({ rolloutId, jobId }: EventSource): { url: string; path?: { id: string } } {
  if (jobId !== undefined) return { url: '/v1/jobs/{id}/events/stream', path: { id: jobId } };
  if (rolloutId !== undefined) return { url: '/v1/rollouts/{id}/events/stream', path: { id: rolloutId } };
  return { url: '/v1/events/stream' };
}
