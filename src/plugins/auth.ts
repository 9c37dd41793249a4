import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { AppError } from '../lib/errors.ts';
import { hasScope, type Principal, type TenantScope } from '../lib/principal.ts';
import type { ApiKeyService } from '../modules/api-keys/index.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for every request below /v1. */
    principal: Principal;
  }
}

/** Authenticates every request of the scope in which it is registered, before the body is read. */
export default fp<{ keys: Pick<ApiKeyService, 'authenticate'> }>(
  async (app, { keys }) => {
    // Set by the hook before anything can read it.
    app.decorateRequest('principal');
    const refuse = await createRefusal(app);
    app.addHook('onRequest', async (request) => {
      const [, key = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
      const principal = await keys.authenticate(key, request.log);
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
