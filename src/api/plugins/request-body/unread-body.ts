import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What a client may still send after it was answered. An honest one finds the answer meanwhile, and stops. */
const MAX_DISCARDED_BYTES = 64 << 20;
const MAX_DISCARDING_MS = 30_000;
const CHECK_MS = 10;

/**
 * Discards what a client goes on sending after the answer to its request, so that it can read the answer and use the
 * connection again. If that does not end within 64 MiB and 30 s, the connection is closed. Without this, Node reads on
 * for as long as the client sends, whatever the answer was.
 */
export function boundUnreadBody({ raw: request }: { raw: IncomingMessage }, reply: { raw: ServerResponse }): void {
  reply.raw.once('finish', () => {
    // A request that was injected has no connection, and is never incomplete.
    if (request.complete === false) discardRest(request);
  });
}

function discardRest(request: IncomingMessage): void {
  request.on('error', () => undefined);
  // Whoever was reading the body has stopped; a pipe that nobody empties would hold it up.
  request.unpipe();
  request.resume();
  closeInTime(request.socket, () => request.complete);
}

/** Closes a connection when too much or for too long has been sent on it from now on, unless that ends before. */
export function closeInTime(socket: Socket, hasEnded: () => boolean): void {
  const lastByte = socket.bytesRead + MAX_DISCARDED_BYTES;
  const lastTime = performance.now() + MAX_DISCARDING_MS;
  // The count of the socket, because Node drops the bytes of an unread body before anybody can see them.
  const check = setInterval(() => {
    const late = socket.bytesRead > lastByte || performance.now() > lastTime;
    if (late) socket.destroy();
    if (late || hasEnded() || socket.destroyed) clearInterval(check);
  }, CHECK_MS).unref();
}
