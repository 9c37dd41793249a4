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

/** Authenticates every request of the Fastify scope in which it is registered, before its body is read. */
export default fp<{ keys: Pick<ApiKeyService, 'authenticate'> }>(
  async (app, { keys }) => {
    // The hook sets it before anything can read it.
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

/** Makes the error of a refused request. Addresses that send too many unknown keys are slowed down. */
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
      : 'the API key is unknown, expired or revoked';
  return new AppError({ code: 'unauthorized', status: 401, message });
}

export function tooManyRequests(retryAfterSeconds: number): AppError {
  return new AppError({
    code: 'rate_limited',
    status: 429,
    message: `too many requests: try again in ${retryAfterSeconds} s`,
    details: { retry_after_ms: retryAfterSeconds * 1000 },
  });
}

/** A route hook (`onRequest` or `preHandler`) that admits operators only. */
export async function requireOperator(request: FastifyRequest, _reply: FastifyReply): Promise<void> {
  if (request.principal.kind !== 'operator') {
    throw new AppError({ code: 'forbidden', status: 403, message: 'this request needs an operator key' });
  }
}

/** A route hook (`onRequest` or `preHandler`) that admits operators and keys whose scopes include this one. */
export function requireScope(scope: TenantScope) {
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    if (!hasScope(request.principal, scope)) {
      throw new AppError({
        code: 'forbidden',
        status: 403,
        message: `this request needs a key with the scope ${scope}`,
      });
    }
  };
}

/** The tenant to which the request is confined; null for the operator, who sees all tenants. */
export function tenantScope(request: FastifyRequest): string | null {
  return request.principal.kind === 'operator' ? null : request.principal.tenantId;
}
