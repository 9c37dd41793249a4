import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyServerOptions } from 'fastify';
import { AppError } from '../../../platform/contract/errors.ts';
import { problemDocument, sendProblem } from './problems.ts';

type ErrorOptions = Required<Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'>>;

/** Fastify options that answer with a problem document if a request fails before its route is known. */
export const protocolErrors: ErrorOptions & { readonly http: { readonly requireHostHeader: false } } = {
  // Node would refuse a request without Host, but not with a problem document; see useProtocolProblems.
  http: { requireHostHeader: false },
  frameworkErrors: (error, request, reply) => {
    // Hooks do not run for a request without a route.
    boundUnreadBody(request, reply);
    void sendProblem(request, reply, badPath(error));
  },
  clientErrorHandler: (error, socket) => {
    // Nobody would read an answer on a reset or closed connection.
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    // An answer to earlier bad input was sent already, and input after it cannot be parsed either.
    if (socket.writableEnded) return;
    if (!socket.writable) return void socket.destroy(error);
    // Destroying a connection with unread input at once would take the answer away from the client.
    socket.end(rawAnswer(badMessage(error.code)));
    closeInTime(socket, () => false);
  },
};

/**
 * Answers with a problem document where Node would only send a status or close the connection. Also limits how much of
 * a request body is read once the request is answered.
 */
export function useProtocolProblems(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    boundUnreadBody(request, reply);
    const { raw } = request;
    if (raw.httpVersion === '1.1' && raw.headers.host === undefined) throw badMessage('no host');
  });
  // A server may ignore expectations other than 100-continue.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));
  app.server.on('connect', (_request, socket) => {
    socket.on('error', () => undefined);
    socket.end(rawAnswer(noTunnel()));
  });
}

function noTunnel(): AppError {
  const message = 'the service opens no tunnels (CONNECT)';
  return new AppError({ code: 'method_not_allowed', status: 405, message });
}

function badPath(error: FastifyError): AppError {
  const tooLong = error.code === 'FST_ERR_MAX_PARAM_LENGTH';
  return new AppError({
    code: tooLong ? 'path_too_long' : 'invalid_request',
    status: tooLong ? 414 : 400,
    message: tooLong ? 'a part of the path is too long' : 'the path is not valid percent-encoded UTF-8',
    cause: error,
  });
}

function badMessage(code: string): AppError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new AppError({ code: 'request_timeout', status: 408, message: 'the request took too long to arrive' });
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError({
      code: 'headers_too_large',
      status: 431,
      message: 'the headers are larger than the service accepts',
    });
  }
  return new AppError({ code: 'malformed_http', status: 400, message: 'the request is not valid HTTP' });
}

function rawAnswer(error: AppError): string {
  const body = JSON.stringify(problemDocument(error));
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

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
function boundUnreadBody({ raw: request }: { raw: IncomingMessage }, reply: { raw: ServerResponse }): void {
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
 * Closes a connection if more than `MAX_DISCARDED_BYTES` arrive on it, or `MAX_DISCARDING_MS` pass, before `hasEnded`
 * returns true.
 */
function closeInTime(socket: Socket, hasEnded: () => boolean): void {
  const lastByte = socket.bytesRead + MAX_DISCARDED_BYTES;
  const lastTime = performance.now() + MAX_DISCARDING_MS;
  // The socket's counter is used, because Node drops the bytes of an unread body without exposing them.
  const check = setInterval(() => {
    const late = socket.bytesRead > lastByte || performance.now() > lastTime;
    if (late) socket.destroy();
    if (late || hasEnded() || socket.destroyed) clearInterval(check);
  }, CHECK_MS).unref();
}
