import { STATUS_CODES } from 'node:http';
import type { FastifySchema, RouteOptions } from 'fastify';
import { leastScopes } from '../../lib/principal.ts';
import { isRead, requiredScope } from '../auth.ts';
import { EVENT_STREAM_TYPE } from '../event-streams.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Statuses of the route's problems, besides those that every route of its kind has. They are only documented. */
    problems?: readonly number[];
  }
}

const PROBLEMS: Record<number, string> = {
  400:
    'The request is malformed. Codes: `invalid_request` (`errors` lists the fields), `malformed_json`, ' +
    '`invalid_cursor`, `invalid_idempotency_key`, `tenant_required`, `upload_aborted`.',
  401: 'The request has no usable API key. Code: `unauthorized`.',
  403:
    'The API key does not have the scope that this request needs (`forbidden`), or what it asks for exceeds a quota of the ' +
    'tenant (`quota_exceeded`, with `quota`, `limit`, `used`, `setting` and `resets_at`).',
  404: 'What the request names does not exist or belongs to another tenant. Code: `not_found`.',
  409:
    'The request conflicts with the present state: the name is taken, the job or rollout has ended, or the first ' +
    'request with the same `Idempotency-Key` is still running (`idempotency_in_progress`).',
  410: 'Events after the position were pruned: go on with `pruned_up_to`. Code: `position_expired`.',
  413: 'The body is over its limit. Codes: `body_too_large`, `upload_too_large`, `adapter_too_large`.',
  415: 'The body has a type or an encoding that is not accepted. Codes: `unsupported_media_type`, `unsupported_content_encoding`.',
  416: 'There are no such bytes: `Content-Range` says how many there are. Code: `range_not_satisfiable`.',
  422:
    'The request is well-formed, but its content cannot be used: see `code` and `detail`. The code ' +
    '`idempotency_key_reused` means that the `Idempotency-Key` was used for a different request.',
  429:
    'The tenant, or the key of the operator, has made too many requests (`rate_limited`), or has too many streams of events open ' +
    '(`too_many_streams`, with `setting`).',
  500: 'The service has failed. Code: `internal`.',
  503: 'The database cannot be reached: try again. Code: `unavailable`.',
  507: 'The artifact store cannot be written. Codes: `storage_full`, `storage_read_only`.',
};

const RETRY_AFTER = { 'retry-after': { description: 'Number of seconds to wait.', schema: { type: 'integer' } } };
const HEADERS: Record<number, Record<string, { description: string; schema: object }>> = {
  401: { 'www-authenticate': { description: 'Always `Bearer`.', schema: { type: 'string' } } },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/** The problems as `components.responses`: one for each status, named by the status's phrase. */
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
  description: 'Makes retries safe: the same request with the same key gets the answer of the first one.',
};
const IF_NONE_MATCH = {
  type: 'string',
  description: 'The ETags that the client has. The answer is 304 if one of them is current.',
};

/** What a request for a part of a download may say. */
const RANGE_HEADERS = {
  range: {
    type: 'string',
    description: 'One range of bytes, such as `bytes=1000-`. Several are answered with all bytes.',
  },
  'if-range': {
    type: 'string',
    description: 'The ETag of what the client has; if that has changed, all bytes are sent.',
  },
  'want-repr-digest': {
    type: 'string',
    description: '`sha-256=1` asks for `Repr-Digest`, the SHA-256 of all bytes (RFC 9530).',
  },
};
/** What the answer says of its bytes. */
const BYTE_HEADERS = {
  'accept-ranges': { description: 'Always `bytes`.', schema: { type: 'string' } },
  'content-length': { description: 'Number of bytes that follow.', schema: { type: 'integer' } },
  'content-range': { description: 'Which bytes of how many these are; of a 206 alone.', schema: { type: 'string' } },
  'repr-digest': { description: 'The SHA-256 of all bytes, if it was wanted.', schema: { type: 'string' } },
};

/** Documents what all routes below /v1 have in common. It does not change what is validated. */
export function describeRoute(schema: FastifySchema | undefined, url: string, route: RouteOptions): FastifySchema {
  const own: FastifySchema = { ...schema };
  if (!url.startsWith('/v1/')) return own;
  own.security = securityOf(route);
  if (route.method === 'POST') own.headers = { type: 'object', properties: { 'idempotency-key': IDEMPOTENCY_KEY } };
  if (route.method === 'GET' && !isStream(own.response)) {
    const ofParts = (own.response as Record<number, unknown> | undefined)?.[206] === undefined ? {} : RANGE_HEADERS;
    own.headers = { type: 'object', properties: { 'if-none-match': IF_NONE_MATCH, ...ofParts } };
  }
  return Object.assign(own, { [PROBLEMS_MARK]: problemsOf(own, url, route) });
}

/** Whether the answer is a stream of events, which has no ETag and is never unchanged. */
function isStream(responses: unknown): boolean {
  const answer = (responses as Record<string, { content?: object } | undefined> | undefined)?.[200];
  return answer?.content !== undefined && EVENT_STREAM_TYPE in answer.content;
}

/** A key needs one of the scopes, or one that includes it. */
function securityOf(route: RouteOptions): { apiKey: string[] }[] {
  const scope = requiredScope(route);
  return scope === undefined ? [] : leastScopes(scope, isRead(route.method)).map((least) => ({ apiKey: [least] }));
}

/** Carries the statuses of a route's problems to its operation, in which responses can be references. */
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
  requestBody?: { required?: boolean; content?: Record<string, { schema?: { default?: unknown } }> };
  [PROBLEMS_MARK]?: number[];
}

/** Adds the headers of answers, the status 304 and the problems to every operation. A body that has a default may be left out. */
export function describeAnswers<T>(document: T): T {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> };
  for (const operations of Object.values(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const { responses = {}, requestBody, [PROBLEMS_MARK]: problems } = operation;
      if (requestBody?.content?.['application/json']?.schema?.default !== undefined) requestBody.required = false;
      const streams = isStream(responses);
      for (const [status, response] of Object.entries(responses)) {
        const described = problems === undefined || streams ? '' : method;
        if ('description' in response) describeAnswer(response, status, described);
      }
      if (responses[206] !== undefined) describeBytes([responses[200], responses[206]]);
      if (problems === undefined) continue;
      if (method === 'get' && !streams)
        responses[304] ??= { description: 'The client has the current answer already.' };
      for (const status of problems) responses[status] = { $ref: `#/components/responses/${nameOf(status)}` };
      delete operation[PROBLEMS_MARK];
    }
  }
  return document;
}

function describeBytes(responses: readonly (Response | { $ref: string } | undefined)[]): void {
  for (const response of responses) {
    if (response !== undefined && 'description' in response)
      response.headers = { ...response.headers, ...BYTE_HEADERS };
  }
}

function describeAnswer(response: Response, status: string, method: string): void {
  if (response.description === 'Default Response') response.description = STATUS_CODES[status] ?? status;
  const text = (description: string) => ({ description, schema: { type: 'string' } });
  if (method === 'get' && status === '200')
    response.headers = { etag: text('Identifies this answer; send it back as `If-None-Match`.') };
  if (method !== 'post') return;
  response.headers = { 'idempotency-replayed': text('`true` if this is the stored answer of an earlier request.') };
  if (status !== '200') response.headers.location = text('Path of what the request has created or started.');
}
