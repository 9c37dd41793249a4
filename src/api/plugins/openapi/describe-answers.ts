import { STATUS_CODES } from 'node:http';
import type { FastifySchema, RouteOptions } from 'fastify';
import { leastScopes } from '../../../platform/contract/principal.ts';
import { PROBLEM_CODES, type ProblemStatus } from '../../../platform/contract/problem-codes.ts';
import { isRead, requiredScope } from '../auth.ts';
import { FINAL_MARK } from './describe-pages.ts';
import { EVENT_STREAM_TYPE } from '../../../platform/contract/schemas.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * HTTP statuses of the problems that this route may answer with, besides those that all routes of its kind share.
     * They only go into the OpenAPI document.
     */
    problems?: readonly number[];
    /**
     * Set to false if the answers of a POST route have no `Location`, although the request creates or starts something.
     * It only changes the OpenAPI document.
     */
    location?: false;
    /**
     * Values of the member `state` after which a resource no longer changes, so that clients stop polling. They only go
     * into the OpenAPI document.
     */
    finalStates?: readonly string[];
  }
}

const PROBLEMS: Partial<Record<ProblemStatus, string>> = {
  400: 'The request is malformed; `errors` lists the fields that are wrong.',
  401: 'The request has no usable API key.',
  403:
    'The API key does not have the scope that this request needs (`forbidden`), or what it asks for exceeds ' +
    'a quota of the ' +
    'tenant (`quota_exceeded`, with `quota`, `limit`, `used`, `setting` and `resets_at`).',
  404: 'What the request names does not exist or belongs to another tenant.',
  409:
    'The request conflicts with the present state: the name is taken, the job or rollout has ended, or the first ' +
    'request with the same `Idempotency-Key` is still running (`idempotency_in_progress`).',
  410:
    'It is too late: events after the position were pruned (go on with `pruned_up_to`), or what was ' +
    'deleted is gone.',
  413: 'The body is over its limit.',
  414: 'A part of the path is too long.',
  415: 'The body has a type or an encoding that is not accepted.',
  416: 'There are no such bytes: `Content-Range` says how many there are.',
  422:
    'The request is well-formed, but its content cannot be used: see `code` and `detail`. The code ' +
    '`idempotency_key_reused` means that the `Idempotency-Key` was used for a different request.',
  429:
    'The tenant, or the key of the operator, has made too many requests (`rate_limited`), or has too many ' +
    'streams of events open ' +
    '(`too_many_streams`, with `setting`) or uploads under inspection (`too_many_inspections`), or a process ' +
    'is busy with others ' +
    '(`too_many_parts`, of a base model).',
  500: 'The service has failed.',
  503: 'The service cannot do it at present: try again.',
  507: 'The artifact store or the database cannot be written.',
};

const RETRY_AFTER = { 'retry-after': { description: 'Number of seconds to wait.', schema: { type: 'integer' } } };
const HEADERS: Record<number, Record<string, { description: string; schema: object }>> = {
  401: { 'www-authenticate': { description: 'Always `Bearer`.', schema: { type: 'string' } } },
  429: RETRY_AFTER,
  503: RETRY_AFTER,
};

/**
 * Answers with a problem, for `components.responses` of the OpenAPI document: one for each HTTP status, named after its
 * phrase.
 */
export const PROBLEM_RESPONSES = Object.fromEntries(
  Object.entries(PROBLEMS).map(([status, description]) => [
    nameOf(status),
    {
      description: `${description} ${codesOf(Number(status) as ProblemStatus)}`,
      ...(status in HEADERS ? { headers: HEADERS[Number(status)] } : {}),
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  ]),
);

function codesOf(status: ProblemStatus): string {
  const codes = PROBLEM_CODES[status].map((code) => `\`${code}\``);
  return `${codes.length === 1 ? 'Code' : 'Codes'}: ${codes.join(', ')}.`;
}

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

/** Headers with which a request may ask for a part of a download, as the OpenAPI document describes them. */
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
/** Headers of the answers to downloads, as the OpenAPI document describes them. */
const BYTE_HEADERS = {
  'accept-ranges': { description: 'Always `bytes`.', schema: { type: 'string' } },
  'content-length': { description: 'Number of bytes that follow.', schema: { type: 'integer' } },
  'content-range': { description: 'Which bytes of how many these are; of a 206 alone.', schema: { type: 'string' } },
  'repr-digest': { description: 'The SHA-256 of all bytes, if it was wanted.', schema: { type: 'string' } },
};

/**
 * Adds to a route's schema what the OpenAPI document says of all routes below /v1. The validation of requests stays as
 * it is.
 */
export function describeRoute(schema: FastifySchema | undefined, url: string, route: RouteOptions): FastifySchema {
  const own: FastifySchema = { ...schema };
  if (!url.startsWith('/v1/')) return Object.assign(own, { security: [], [COMMON_MARK]: { problems: [415] } });
  own.security = securityOf(route);
  if (route.method === 'POST') own.headers = { type: 'object', properties: { 'idempotency-key': IDEMPOTENCY_KEY } };
  if (route.method === 'GET' && !isStream(own.response)) {
    const ofParts = (own.response as Record<number, unknown> | undefined)?.[206] === undefined ? {} : RANGE_HEADERS;
    own.headers = { type: 'object', properties: { 'if-none-match': IF_NONE_MATCH, ...ofParts } };
  }
  const common: Common = { problems: problemsOf(own, url, route), location: route.config?.location ?? true };
  const final = route.config?.finalStates;
  return Object.assign(own, { [COMMON_MARK]: common }, final === undefined ? {} : { [FINAL_MARK]: final });
}

/** Whether the answer of a route is a stream of events. Such an answer has no ETag, and is never a 304. */
function isStream(responses: unknown): boolean {
  const answer = (responses as Record<string, { content?: object } | undefined> | undefined)?.[200];
  return answer?.content !== undefined && EVENT_STREAM_TYPE in answer.content;
}

/**
 * Lists the API scopes that admit a key to a route. A key needs only one of them, or a scope that includes one of them.
 */
function securityOf(route: RouteOptions): { apiKey: string[] }[] {
  const scope = requiredScope(route);
  return scope === undefined ? [] : leastScopes(scope, isRead(route.method)).map((least) => ({ apiKey: [least] }));
}

/**
 * Key under which a route's schema carries the route's common parts until the OpenAPI document is finished. Only the
 * finished document can refer to shared answers.
 */
const COMMON_MARK = 'x-common';

interface Common {
  problems: number[];
  /**
   * Whether the answer to a POST has a `Location` with the path of a new resource. Undefined for public routes, that
   * is, for those outside /v1, whose answers have no ETag either.
   */
  location?: boolean;
}

function problemsOf(schema: FastifySchema, url: string, route: RouteOptions): number[] {
  const statuses = [400, 401, 403, 415, 429, 500, 503, ...(route.config?.problems ?? [])];
  if (url.includes(':')) statuses.push(404, 414);
  if (route.method === 'POST') statuses.push(409, 422);
  if (schema.body !== undefined) statuses.push(413);
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
  [COMMON_MARK]?: Common;
}

/**
 * Adds headers, the status 304 and problems to the answers of every operation of the OpenAPI document. Marks a request
 * body as optional if its schema has a default.
 */
export function describeAnswers<T>(document: T): T {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> };
  for (const operations of Object.values(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const { responses = {}, requestBody, [COMMON_MARK]: common } = operation;
      if (requestBody?.content?.['application/json']?.schema?.default !== undefined) requestBody.required = false;
      const isOpen = common?.location === undefined;
      const streams = isStream(responses);
      for (const [status, response] of Object.entries(responses)) {
        if ('description' in response)
          describeAnswer(response, {
            status,
            method: isOpen || streams ? '' : method,
            location: common?.location ?? false,
          });
      }
      if (responses[206] !== undefined) describeBytes([responses[200], responses[206]]);
      if (method === 'get' && !isOpen && !streams)
        responses[304] ??= { description: 'The client has the current answer already.' };
      for (const status of common?.problems ?? [])
        responses[status] = { $ref: `#/components/responses/${nameOf(status)}` };
      delete operation[COMMON_MARK];
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

function describeAnswer(
  response: Response,
  { status, method, location }: { status: string; method: string; location: boolean },
): void {
  if (response.description === 'Default Response') response.description = STATUS_CODES[status] ?? status;
  const text = (description: string) => ({ description, schema: { type: 'string' } });
  if (method === 'get' && status === '200')
    response.headers = { etag: text('Identifies this answer; send it back as `If-None-Match`.') };
  if (method !== 'post') return;
  response.headers = { 'idempotency-replayed': text('`true` if this is the stored answer of an earlier request.') };
  if (status !== '200' && location)
    response.headers.location = text('Path of what the request has created or started.');
}
