import { Readable } from 'node:stream';
import type { ReadaptClient } from '../create-client.ts';
import { retryingFetch, type RetryOptions } from '../retries.ts';
import { anySignal } from '../signals.ts';

/**
 * Part of a request that sends a stream.
 * @param open opens the body for an attempt
 * @param retries settings that differ from the client's retry policy
 */
export function streamed(
  client: ReadaptClient,
  open: () => Readable,
  signal: AbortSignal | undefined,
  retries: Partial<RetryOptions> = {},
) {
  const unreadable = new AbortController();
  const withBody = (request: Request): Request => {
    // A source that cannot be read is no network fault: another attempt would not help.
    const source = open().on('error', (error) => unreadable.abort(error));
    const init = { body: Readable.toWeb(source) as ReadableStream<Uint8Array>, duplex: 'half' } as const;
    return new Request(request, init);
  };
  return {
    // Placeholder: each attempt has a body of its own.
    body: new Blob([]),
    fetch: retryingFetch(client.fetchOnce, { ...client.retries, ...retries }, withBody),
    signal: anySignal([unreadable.signal, ...(signal === undefined ? [] : [signal])]),
  };
}
