import type { FastifyReply } from 'fastify';

/** Creates a signal that aborts when the client disconnects before the answer. */
export function signalOfClient(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController();
  const { raw } = reply;
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  // The client may have disconnected before its request was handled.
  if (raw.destroyed) gone.abort();
  return gone.signal;
}
