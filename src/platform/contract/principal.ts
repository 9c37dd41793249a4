export const TENANT_SCOPES = ['tenant:read', 'tenant:write', 'tenant:admin', 'serving:read'] as const;
export type TenantScope = (typeof TENANT_SCOPES)[number];
/**
 * Name of the scope that only allows a caller to read which adapter versions engines should serve. Callers with a
 * tenant's key may read those of this tenant, and callers with a key that belongs to no tenant may read those of all
 * tenants.
 */
export const SERVING_SCOPE = 'serving:read';
export const OPERATOR_SCOPE = 'operator';
export const OPERATOR_SCOPES = [OPERATOR_SCOPE, 'operator:read'] as const;
type OperatorScope = (typeof OPERATOR_SCOPES)[number];

/** Caller of a request, with the rights of its API key. */
export type Principal =
  | { kind: 'operator'; keyId: string; readOnly: boolean; servingOnly: boolean }
  | { kind: 'tenant'; keyId: string; tenantId: string; scopes: readonly TenantScope[] };

/**
 * Reader of data that all tenants share: the operator, a tenant, or an engine or gateway with an operator's key for
 * `serving:read`.
 */
export type ReaderRole = 'operator' | 'engine' | 'tenant';

/** Least scope that a caller needs for a route. */
export type RequiredScope = TenantScope | typeof OPERATOR_SCOPE;

/** Scopes that each tenant scope includes. A caller who has a scope has these as well. */
const INCLUDED: Record<TenantScope, readonly TenantScope[]> = {
  'serving:read': ['serving:read'],
  'tenant:read': ['serving:read', 'tenant:read'],
  'tenant:write': ['serving:read', 'tenant:read', 'tenant:write'],
  'tenant:admin': TENANT_SCOPES,
};

/**
 * Whether the principal may make a request that requires this scope. The operator may make all requests, and with
 * `operator:read` all requests that only read. An operator's key for `serving:read` may do what that scope allows, for
 * all tenants.
 *
 * @param reads whether the request only reads
 */
export function isAdmitted(principal: Principal, required: RequiredScope, reads: boolean): boolean {
  if (principal.kind === 'operator') {
    return (!principal.servingOnly || required === SERVING_SCOPE) && (reads || !principal.readOnly);
  }
  return required !== OPERATOR_SCOPE && principal.scopes.some((held) => INCLUDED[held].includes(required));
}

/** Lists the least scopes for a request. A caller needs one of them, or a scope that includes one of them. */
export function leastScopes(required: RequiredScope, reads: boolean): (TenantScope | OperatorScope)[] {
  const ofOperator = reads ? 'operator:read' : OPERATOR_SCOPE;
  return required === OPERATOR_SCOPE ? [ofOperator] : [required, ofOperator];
}

export function isTenantScope(scope: string): scope is TenantScope {
  return TENANT_SCOPES.some((known) => known === scope);
}

export function isOperatorScope(scope: string): scope is OperatorScope {
  return OPERATOR_SCOPES.some((known) => known === scope);
}
