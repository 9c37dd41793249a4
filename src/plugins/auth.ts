import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { parseApiKey, secretMatches, OPERATOR_SCOPE, type TenantScope } from '../lib/api-key.ts';
import type { Database } from '../lib/database.ts';
import { AppError } from '../lib/errors.ts';
import { hasScope, type Principal } from '../lib/principal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for every request below /v1. */
    principal: Principal;
  }
}

/** `last_used_at` is written at most once in this time for a key. */
const LAST_USED_RESOLUTION_MS = 60_000;

/** Authenticates every request of the scope in which it is registered, before the body is read. */
export default fp<{ db: Database }>(
  async (app, { db }) => {
    // Set by the hook before anything can read it.
    app.decorateRequest('principal');
    const refuse = await createRefusal(app);
    app.addHook('onRequest', async (request) => {
      const principal = await authenticate(db, request);
      if (principal === null) throw await refuse(request);
      request.principal = principal;
      if (principal.kind === 'tenant') request.log = request.log.child({ tenantId: principal.tenantId });
    });
  },
  { name: 'auth' },
);

/** Guessing keys is slowed down by the address it comes from. */
async function createRefusal(app: FastifyInstance) {
  const limiter = app.createRateLimit({ max: 300, timeWindow: 60_000, keyGenerator: (request) => `ip:${request.ip}` });
  return async (request: FastifyRequest): Promise<AppError> => {
    const limit = await limiter(request);
    if (!limit.isAllowed && limit.isExceeded) return tooManyRequests(limit.ttlInSeconds);
    return unauthorized(request);
  };
}

function unauthorized(request: FastifyRequest): AppError {
  const message =
    request.headers.authorization === undefined
      ? 'the request has no API key, expected "Authorization: Bearer rdp_…"'
      : 'the API key is not known, expired or revoked';
  return new AppError({ code: 'unauthorized', status: 401, message });
}

export function tooManyRequests(retryAfterSeconds: number): AppError {
  return new AppError({
    code: 'rate_limited',
    status: 429,
    message: `too many requests, try again in ${retryAfterSeconds} s`,
    details: { retry_after_ms: retryAfterSeconds * 1000 },
  });
}

async function authenticate(db: Database, request: FastifyRequest): Promise<Principal | null> {
  const match = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '');
  const parsed = parseApiKey(match?.[1] ?? '');
  if (parsed === null) return null;
  const row = await db.apiKey.findUnique({ where: { prefix: parsed.prefix } });
  if (row === null || !secretMatches(parsed.secret, row.secretHash)) return null;
  const now = Date.now();
  if (row.revokedAt !== null || (row.expiresAt !== null && row.expiresAt.getTime() <= now)) return null;
  if (row.lastUsedAt === null || now - row.lastUsedAt.getTime() > LAST_USED_RESOLUTION_MS) {
    noteUse(db, row.id, request);
  }
  if (row.tenantId !== null) {
    return { kind: 'tenant', keyId: row.id, tenantId: row.tenantId, scopes: row.scopes as TenantScope[] };
  }
  return row.scopes.includes(OPERATOR_SCOPE) ? { kind: 'operator', keyId: row.id } : null;
}

/** Does not hold up the request, which works without it. */
function noteUse(db: Database, keyId: string, request: FastifyRequest): void {
  db.apiKey
    .updateMany({ where: { id: keyId }, data: { lastUsedAt: new Date() } })
    .catch((error: unknown) => request.log.warn({ err: error, keyId }, 'could not note the use of an API key'));
}

/** Route hook (`onRequest` or `preHandler`): operators only. */
export async function requireOperator(request: FastifyRequest, _reply: FastifyReply): Promise<void> {
  if (request.principal.kind !== 'operator') {
    throw new AppError({ code: 'forbidden', status: 403, message: 'this needs an operator key' });
  }
}

/** Route hook (`onRequest` or `preHandler`): operators and keys with the scope, or one that includes it. */
export function requireScope(scope: TenantScope) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    if (!hasScope(request.principal, scope)) {
      throw new AppError({ code: 'forbidden', status: 403, message: `this needs a key with scope ${scope}` });
    }
  };
}

/** The tenant to which the request is confined; null for the operator, who sees all. */
export function tenantScope(request: FastifyRequest): string | null {
  return request.principal.kind === 'operator' ? null : request.principal.tenantId;
}
