import { formatPosition, type CommitPosition } from '../commit-position.ts';
import type { Event } from '../event.schemas.ts';

/** Delay before a client reconnects after it has lost its connection, in milliseconds. */
const RETRY_MS = 3000;

// The format follows the WHATWG HTML standard, section 9.2 (server-sent events). Data is one line: JSON has no line
// breaks.

/**
 * Makes the first frame of a stream. Its `id` is the position of the start, so that a client that has seen no event yet
 * can resume there.
 */
export function openingFrame(position: CommitPosition): string {
  return `retry: ${RETRY_MS}\nid: ${formatPosition(position)}\n\n`;
}

export function eventFrame(event: Event): string {
  return `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/**
 * Makes a heartbeat frame. It consists of a comment, which keeps proxies from closing the connection, and of the
 * position up to which the client has missed no event.
 */
export function heartbeatFrame(position: CommitPosition): string {
  return `: heartbeat\nid: ${formatPosition(position)}\n\n`;
}
