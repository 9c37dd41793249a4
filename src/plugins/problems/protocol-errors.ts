import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyServerOptions } from 'fastify';
import { AppError } from '../../lib/errors.ts';
import { boundUnreadBody } from '../request-body/unread-body.ts';
import { problemDocument, sendProblem } from './problems.ts';

/** Options that make Fastify answer with a problem if a request fails before its route is known. */
export const protocolErrors: Required<Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'>> = {
  frameworkErrors: (error, request, reply) => {
    // There are no hooks for a request without a route.
    boundUnreadBody(request, reply);
    void sendProblem(request, reply, badPath(error));
  },
  clientErrorHandler: (error, socket) => {
    // On a connection that is reset or closed nobody can read an answer.
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    if (socket.writable) socket.write(rawAnswer(badMessage(error.code)));
    socket.destroy(error);
  },
};

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
