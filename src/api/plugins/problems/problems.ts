import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { databaseProblem } from './database-problem.ts';
import { shorten } from '../../../../core/options/quote.ts';
import { SETTINGS } from '../../../platform/config/settings.ts';
import { AppError } from '../../../platform/contract/errors.ts';
import type { ProblemCode } from '../../../platform/contract/problem-codes.ts';
import { invalidRequest } from '../validation/invalid-request.ts';
import { useAllowedMethods } from './allowed-methods.ts';

/**
 * Answers every error with a problem document (RFC 9457). Errors that are not meant for clients become a 500 without
 * details.
 */
export function useProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request, reply) => {
    const problem = toAppError(error, request);
    if (problem.status >= 500) request.log.error({ err: error }, problem.message);
    else request.log.info({ code: problem.code, status: problem.status }, problem.message);
    return sendProblem(request, reply, problem);
  });
  const allowedMethods = useAllowedMethods(app);
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const found = allowedMethods(path);
    // If the route supports the method, its handler did not find the resource, so 404 is right.
    const methods = found.includes(request.method) ? [] : found;
    if (methods.length > 0) reply.header('allow', methods.join(', '));
    return sendProblem(request, reply, routeNotFound(request.method, path, methods));
  });
}

function routeNotFound(method: string, path: string, methods: readonly string[]): AppError {
  if (methods.length === 0) {
    return new AppError({
      code: 'route_not_found',
      status: 404,
      message: `there is no route ${method} ${shorten(path)}`,
    });
  }
  const message = `${shorten(path)} does not accept ${method}, expected ${methods.join(' or ')}`;
  return new AppError({ code: 'method_not_allowed', status: 405, message });
}

/** Returns the path of a request without the query string, which may hold private values. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url;
}

/** Largest number of characters of the request path that a problem document repeats. */
const MAX_INSTANCE = 1000;

/**
 * Creates the problem document of an error (RFC 9457). `instance` is the requested path if known, and is cut if it is
 * very long.
 */
export function problemDocument(error: AppError, instance?: string): Record<string, unknown> {
  return {
    ...error.details,
    type: `urn:readapt:problem:${error.code}`,
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    instance: instance?.slice(0, MAX_INSTANCE),
  };
}

/** Answers a request with the problem document of an error. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: AppError): FastifyReply {
  if (error.status === 401) reply.header('www-authenticate', 'Bearer');
  // Fastify would close the connection if the body is unread, and a client that is still sending would lose the answer.
  // Instead, protocol-errors.ts limits how much the client may still send.
  reply.removeHeader('connection');
  const retryAfterMs = error.details.retry_after_ms;
  if (typeof retryAfterMs === 'number') reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  return reply
    .code(error.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(problemDocument(error, pathOf(request)));
}

/** Stable problem codes of this API, with status and message, for errors that Fastify itself raises. */
const FASTIFY_CODES: Record<
  string,
  { code: ProblemCode; status: number; message: string; details?: { setting: string } }
> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'body_too_large',
    status: 413,
    message: `the body is larger than the service accepts (${SETTINGS.bodyLimitBytes.variable})`,
    details: { setting: SETTINGS.bodyLimitBytes.variable },
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'malformed_json', status: 400, message: 'the body is not valid JSON' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid_content_length',
    status: 400,
    message: 'the body does not have the length that its Content-Length says',
  },
};

function unsupportedMediaType({ headers, routeOptions }: FastifyRequest, cause: unknown): AppError {
  const body = routeOptions.schema?.body as { content?: object } | undefined;
  const accepted =
    body === undefined ? 'no body' : Object.keys(body.content ?? { 'application/json': {} }).join(' or ');
  const found = shorten(headers['content-type'] ?? 'none');
  const message = `the body has the content type ${found}, expected ${accepted}`;
  return new AppError({ code: 'unsupported_media_type', status: 415, message, cause });
}

function toAppError(error: unknown, request: FastifyRequest): AppError {
  if (error instanceof AppError) return error;
  const fastifyError = error as Partial<FastifyError>;
  // An interrupted body has the error code of a reset connection, as does a lost database, but also a status, which
  // Fastify sets.
  const ofDatabase = fastifyError.statusCode === undefined ? databaseProblem(error) : null;
  if (ofDatabase !== null) return ofDatabase;
  if (Array.isArray(fastifyError.validation)) {
    return invalidRequest(fastifyError.validation, fastifyError.validationContext ?? 'body');
  }
  if (fastifyError.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return unsupportedMediaType(request, error);
  const known = FASTIFY_CODES[fastifyError.code ?? ''];
  if (known !== undefined) return new AppError({ ...known, cause: error });
  const status = fastifyError.statusCode ?? 500;
  if (status >= 400 && status < 500 && error instanceof Error) {
    const code = error instanceof SyntaxError ? 'malformed_json' : 'invalid_request';
    return new AppError({ code, status, message: error.message, cause: error });
  }
  return new AppError({
    code: 'internal',
    status: 500,
    message: 'the service has failed; its log has the cause',
    cause: error,
  });
}
