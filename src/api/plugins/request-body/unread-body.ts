import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Largest number of bytes that a client may still send after the answer. A well-behaved client reads the answer
 * meanwhile, and stops.
 */
const MAX_DISCARDED_BYTES = 64 << 20;
const MAX_DISCARDING_MS = 30_000;
const CHECK_MS = 10;

/**
 * Discards the rest of a request's body after the answer, so that the client can read the answer and reuse the
 * connection. After 64 MiB or 30 s, the connection is closed. Without this, Node would read as long as the client
 * sends.
 */
export function boundUnreadBody({ raw: request }: { raw: IncomingMessage }, reply: { raw: ServerResponse }): void {
  reply.raw.once('finish', () => {
    // An injected request has no connection, and is never incomplete.
    if (request.complete === false) discardRest(request);
  });
}

function discardRest(request: IncomingMessage): void {
  request.on('error', () => undefined);
  // The reader of the body has stopped. A pipe that nobody drains would block the discarding.
  request.unpipe();
  request.resume();
  closeInTime(request.socket, () => request.complete);
}

/**
 * Closes a connection if more bytes than the limit arrive on it or the time runs out before `hasEnded` returns true.
 */
export function closeInTime(socket: Socket, hasEnded: () => boolean): void {
  const lastByte = socket.bytesRead + MAX_DISCARDED_BYTES;
  const lastTime = performance.now() + MAX_DISCARDING_MS;
  // The socket's counter is used, because Node drops the bytes of an unread body without exposing them.
  const check = setInterval(() => {
    const late = socket.bytesRead > lastByte || performance.now() > lastTime;
    if (late) socket.destroy();
    if (late || hasEnded() || socket.destroyed) clearInterval(check);
  }, CHECK_MS).unref();
}
