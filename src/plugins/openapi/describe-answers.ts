import { STATUS_CODES } from 'node:http';
import type { FastifySchema, RouteOptions } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Statuses of problems, for the document, besides those that every such route may answer. */
    problems?: readonly number[];
  }
}

const PROBLEMS: Record<number, string> = {
  400: 'The request is not well-formed: `invalid_request` (see `errors`), `malformed_json`, `invalid_cursor`, `tenant_required` …',
  401: 'There is no usable API key: `unauthorized`.',
  403: 'The key may not do this: `forbidden`.',
  404: 'It does not exist, or belongs to another tenant: `not_found`.',
  409: 'It does not go with what there is: a name that is taken, something that has ended, `idempotency_in_progress`.',
  413: 'The body is over the limit: `body_too_large`, `upload_too_large`, `adapter_too_large`.',
  415: 'The content type or encoding is not taken: `unsupported_media_type`, `unsupported_content_encoding`.',
  422: 'The content cannot be used: see `code` and `detail`; `idempotency_key_reused` for a key of another request.',
  429: 'Over the rate limit: `rate_limited`.',
  500: 'The service failed: `internal`.',
  503: 'The database cannot be reached: `unavailable`.',
  507: 'The artifact store cannot be written: `storage_full`, `storage_read_only`.',
};

const RETRY_AFTER = { 'retry-after': { description: 'Seconds to wait.', schema: { type: 'integer' } } };
const HEADERS: Record<number, Record<string, { description: string; schema: object }>> = {
  401: { 'www-authenticate': { description: '`Bearer`', schema: { type: 'string' } } },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** For `components.responses`: one a status, named by its phrase. */
export const PROBLEM_RESPONSES = Object.fromEntries(
  Object.entries(PROBLEMS).map(([status, description]) => [
    nameOf(status),
    {
      description,
      ...(status in HEADERS ? { headers: HEADERS[Number(status)] } : {}),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  ]),
);

function nameOf(status: number | string): string {
  return (STATUS_CODES[status] ?? String(status)).replaceAll(/\W/g, '');
}

const IDEMPOTENCY_KEY = {
  type: 'string',
  pattern: '^[\\x21-\\x7e]{1,255}$',
  description: 'Makes a retry safe: it is answered from the first answer.',
};
const IF_NONE_MATCH = { type: 'string', description: 'ETags that the client has: answers 304 if one is current.' };

/** Adds what all routes below /v1 have in common. Only the document changes, not what is validated. */
export function describeRoute(schema: FastifySchema | undefined, url: string, route: RouteOptions): FastifySchema {
  const own: FastifySchema = { ...schema };
  if (!url.startsWith('/v1/')) return own;
  own.security = [{ apiKey: [] }];
  if (route.method === 'POST') own.headers = { type: 'object', properties: { 'idempotency-key': IDEMPOTENCY_KEY } };
  if (route.method === 'GET') own.headers = { type: 'object', properties: { 'if-none-match': IF_NONE_MATCH } };
  return Object.assign(own, { [PROBLEMS_MARK]: problemsOf(own, url, route) });
}

/** Carries a route's problems to its operation, where responses can be references. */
const PROBLEMS_MARK = 'x-problems';

function problemsOf(schema: FastifySchema, url: string, route: RouteOptions): number[] {
  const statuses = [400, 401, 403, 429, 500, 503, ...(route.config?.problems ?? [])];
  if (url.includes(':')) statuses.push(404);
  if (route.method === 'POST') statuses.push(409, 422);
  if (schema.body !== undefined) statuses.push(413, 415);
  return statuses.sort((a, b) => a - b);
}

interface Response {
  description: string;
  headers?: Record<string, object>;
}
type Responses = Record<string, Response | { $ref: string }>;
interface Operation {
  responses?: Responses;
  [PROBLEMS_MARK]?: number[];
}

/** Adds the headers of answers, 304 and the problems to every operation. */
export function describeAnswers<T>(document: T): T {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> };
  for (const operations of Object.values(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const { responses = {}, [PROBLEMS_MARK]: problems } = operation;
      for (const [status, response] of Object.entries(responses)) {
        if ('description' in response) describeAnswer(response, status, problems === undefined ? '' : method);
      }
      if (problems === undefined) continue;
      if (method === 'get') responses[304] ??= { description: 'The client has it already.' };
      for (const status of problems) responses[status] = { $ref: `#/components/responses/${nameOf(status)}` };
      delete operation[PROBLEMS_MARK];
    }
  }
  return document;
}

function describeAnswer(response: Response, status: string, method: string): void {
  if (response.description === 'Default Response') response.description = STATUS_CODES[status] ?? status;
  const text = (description: string) => ({ description, schema: { type: 'string' } });
  if (method === 'get' && status === '200') response.headers = { etag: text('For If-None-Match.') };
  if (method !== 'post') return;
  response.headers = { 'idempotency-replayed': text('`true` if it is the answer to an earlier request.') };
  if (status !== '200') response.headers.location = text('Path of what was created.');
}
