import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';

export interface HostileRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Chunks of the body, sent whether or not the service has answered. May be endless. */
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface Answer {
  /** Status of the answer; null if the connection was closed without one. */
  readonly status: number | null;
  readonly contentType: string;
  readonly body: Record<string, unknown>;
  /** Time from the first byte sent to the answer, in milliseconds. */
  readonly answerMs: number;
}

export interface Outcome extends Answer {
  /** Bytes of the body that the service or the network's buffers accepted. */
  readonly sentBytes: number;
}

/**
 * Length at which an endless body ends, so that a test against a service that never stops reading fails instead of
 * hanging.
 */
const ENOUGH_BYTES = 2 ** 30;

/**
 * Sends a request over a raw connection and keeps sending after the answer, as no honest client would, until the
 * service closes the connection, the body ends, or a gigabyte is sent.
 */
export async function sendHostile(origin: string, request: HostileRequest): Promise<Outcome> {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  const started = performance.now();
  const answer = readAnswer(socket, started);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const headers = { host: hostname, 'transfer-encoding': 'chunked', ...request.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${request.method ?? 'POST'} ${request.path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  let sentBytes = 0;
  for await (const chunk of request.body) {
    if (!(await sendChunk(socket, chunk, closed)) || sentBytes > ENOUGH_BYTES) break;
    sentBytes += chunk.length;
    // Without this, writes that complete at once would starve the reading of the answer.
    await setImmediate();
  }
  if (sentBytes <= ENOUGH_BYTES) socket.write('0\r\n\r\n');
  const result = { ...(await Promise.race([answer, closed.then(() => answer)])), sentBytes };
  socket.destroy();
  return result;
}

/** Sends a chunk. @returns false if the connection is closed */
async function sendChunk(socket: Socket, chunk: Uint8Array, closed: Promise<void>): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return false;
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`);
  socket.write(chunk);
  const written = new Promise<boolean>((resolve) => socket.write('\r\n', (error) => resolve(!error)));
  socket.uncork();
  return Promise.race([written, closed.then(() => false)]);
}

/** Reads the first answer, which must have a Content-Length. */
function readAnswer(socket: Socket, started: number): Promise<Answer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve({ status: null, contentType: '', body: {}, answerMs: since(started) }));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const parsed = parseAnswer(received);
      if (parsed !== null) resolve({ ...parsed.answer, answerMs: since(started) });
    });
  });
}

/**
 * First answer in the received bytes and the bytes after it; null if it is incomplete. It must have a Content-Length.
 */
export function parseAnswer(received: Buffer): { answer: Omit<Answer, 'answerMs'>; rest: Buffer } | null {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const head = received.toString('latin1', 0, headEnd);
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? '';
  const end = headEnd + 4 + Number(header('content-length'));
  if (received.length < end) return null;
  const text = received.toString('utf8', headEnd + 4, end);
  const contentType = header('content-type');
  const body = /json/.test(contentType) ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { answer: { status: Number(head.split(' ')[1]), contentType, body }, rest: received.subarray(end) };
}

function since(started: number): number {
  return performance.now() - started;
}
