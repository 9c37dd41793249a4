import { Readable } from 'node:stream';
import type { ReadaptClient } from '../create-client.ts';
import { retryingFetch, type RetryOptions } from '../retries.ts';
import { anySignal } from '../signals.ts';

/**
 * The part of a request that sends a stream.
 *
 * @param open opens the body for an attempt
 * @param retries what is retried in another way than the client does
 */
export function streamed(
  client: ReadaptClient,
  open: () => Readable,
  signal: AbortSignal | undefined,
  retries: Partial<RetryOptions> = {},
) {
  const unreadable = new AbortController();
  const withBody = (request: Request): Request => {
    // A source that cannot be read is no fault of the network, after which another attempt would make sense.
    const source = open().on('error', (error) => unreadable.abort(error));
    const init = { body: Readable.toWeb(source) as ReadableStream<Uint8Array>, duplex: 'half' } as const;
    return new Request(request, init);
  };
  return {
    // Each attempt has a body of its own in place of this one.
    body: new Blob([]),
    fetch: retryingFetch(client.fetchOnce, { ...client.retries, ...retries }, withBody),
    signal: anySignal([unreadable.signal, ...(signal === undefined ? [] : [signal])]),
  };
}
