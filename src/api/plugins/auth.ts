import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import fp from 'fastify-plugin';
import { AppError } from '../../platform/contract/errors.ts';
import {
  isAdmitted,
  OPERATOR_SCOPE,
  type Principal,
  type ReaderRole,
  type RequiredScope,
} from '../../platform/contract/principal.ts';
import type { Database } from '../../platform/database/database.ts';
import { confineTo } from '../../platform/database/row-security/confined-database.repository.ts';

/** Resolves API keys to principals, that is, to callers and their rights. */
export interface Authenticator {
  /** Finds the principal of a key; null if the key is unknown, expired or revoked. */
  authenticate(key: string, logger: Pick<FastifyBaseLogger, 'warn'>): Promise<Principal | null>;
  /**
   * Checks again whether a key still exists and is neither expired nor revoked. Called from time to time while a long
   * answer is being sent.
   */
  isUsable(key: string): Promise<boolean>;
  /**
   * Forgets all cached keys. Call this after a change of keys or tenants, before the request that made it is answered.
   */
  forget(): void;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Caller of the request, as its API key identifies it. Set for every request below /v1. */
    principal: Principal;
    /**
     * Database restricted to what the caller of a request below /v1 may see: its own rows for a tenant, all rows for
     * the operator. Routes have no other access to the database.
     */
    db: Database;
    /**
     * Checks whether the API key of the request is still usable. Called from time to time while a long answer is being
     * sent.
     */
    hasUsableKey(): Promise<boolean>;
  }
}

interface AuthOptions {
  keys: Authenticator;
  db: Database;
  /** Whether the database can confine a tenant to its own rows by row-level security. */
  rowSecurity: boolean;
}

/**
 * Authenticates every request of the Fastify scope in which the plugin is registered, before the request's body is
 * read, and restricts the request's database to what the caller may see. The plugin refuses to register a route that
 * does not declare the API scope it needs.
 */
export default fp<AuthOptions>(
  async (app, { keys, db, rowSecurity }) => {
    // There are no initial values: the `onRequest` hook below sets both before anything reads them.
    app.decorateRequest('principal');
    app.decorateRequest('db');
    const refuse = await createRefusal(app);
    app.addHook('onRoute', (route) => {
      if (requiredScope(route) !== undefined) return;
      throw new Error(
        `${String(route.method)} ${route.url} has no requireScope or requireOperator among its onRequest hooks`,
      );
    });
    app.decorateRequest('hasUsableKey', function () {
      return keys.isUsable(keyOf(this));
    });
    app.addHook('onRequest', async (request) => {
      const principal = await keys.authenticate(keyOf(request), request.log);
      if (principal === null) throw await refuse(request);
      request.principal = principal;
      request.db = rowSecurity && principal.kind === 'tenant' ? confineTo(db, principal.tenantId) : db;
      if (principal.kind === 'tenant') request.log = request.log.child({ tenantId: principal.tenantId });
    });
    // Any write may have changed keys or their tenants. In this process, a revoked key thus stops working before the
    // client reads the answer.
    app.addHook('onSend', async (request, _reply, payload) => {
      if (!isRead(request.method)) keys.forget();
      return payload;
    });
  },
  { name: 'auth' },
);

function keyOf(request: FastifyRequest): string {
  const [, key = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  return key;
}

/**
 * Creates the function that makes the error for a request without a usable API key. The error is a 401, or a 429 if the
 * IP address has sent too many such requests.
 */
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

/** `onRequest` hook that refuses callers without the API scope that a route requires. */
interface Admission {
  (request: FastifyRequest, reply: FastifyReply): Promise<void>;
  readonly scope: RequiredScope;
}

/**
 * Creates an `onRequest` hook that refuses callers whose API key does not include the given scope. Operator keys
 * include every scope, with two exceptions: some operator keys may only read, and some may only read which adapter
 * versions are to be served.
 */
export function requireScope(scope: RequiredScope): Admission {
  const admit = async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    if (isAdmitted(request.principal, scope, isRead(request.method))) return;
    const needed = scope === OPERATOR_SCOPE ? 'an operator key' : `a key with the scope ${scope}`;
    throw new AppError({
      code: 'forbidden',
      status: 403,
      message:
        request.principal.kind === 'operator' && !request.principal.servingOnly
          ? 'this request writes, and a key with the scope operator:read may only read'
          : `this request needs ${needed}`,
    });
  };
  return Object.assign(admit, { scope });
}

/**
 * `onRequest` hook that refuses tenants, and keys that may only read which adapter versions are to be served. An
 * operator key that may only read is admitted to requests that only read.
 */
export const requireOperator = requireScope(OPERATOR_SCOPE);

/** Finds the API scope that a route requires of its callers; undefined if the route declares none. */
export function requiredScope({ onRequest }: Pick<RouteOptions, 'onRequest'>): RequiredScope | undefined {
  const hooks: readonly object[] = onRequest === undefined ? [] : [onRequest].flat();
  return hooks.find((hook): hook is Admission => 'scope' in hook)?.scope;
}

/** Whether the HTTP method of a route only reads or, if the route has several methods, whether all of them do. */
export function isRead(method: RouteOptions['method']): boolean {
  return [method].flat().every((one) => one === 'GET' || one === 'HEAD');
}

/** Returns the role in which the caller reads data that all tenants share. */
export function readerOf({ principal }: FastifyRequest): ReaderRole {
  if (principal.kind === 'tenant') return 'tenant';
  return principal.servingOnly ? 'engine' : 'operator';
}

/** Returns the tenant to which the request is confined; null for the operator, who sees all tenants. */
export function tenantScope(request: FastifyRequest): string | null {
  return request.principal.kind === 'operator' ? null : request.principal.tenantId;
}
