import type { FastifyReply } from 'fastify';

/** Aborts when the client of a request has gone before it was answered. */
export function signalOfClient(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController();
  const { raw } = reply;
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  // It may be gone before its request is begun.
  if (raw.destroyed) gone.abort();
  return gone.signal;
}
