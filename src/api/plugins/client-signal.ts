import type { FastifyReply } from 'fastify';

/** Creates an abort signal that fires if the client disconnects before the whole answer has been sent. */
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
