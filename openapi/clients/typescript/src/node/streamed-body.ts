import { Readable } from 'node:stream';
import type { ReadaptClient } from '../create-client.ts';
import { retryingFetch } from '../retries.ts';
import { anySignal } from '../signals.ts';

/**
 * The part of a request that sends a stream.
 *
 * @param open opens the body for an attempt
 */
export function streamed(client: ReadaptClient, open: () => Readable, signal: AbortSignal | undefined) {
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
    fetch: retryingFetch(client.fetchOnce, client.retries, withBody),
    signal: anySignal([unreadable.signal, ...(signal === undefined ? [] : [signal])]),
  };
}
