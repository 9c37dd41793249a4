export const TENANT_SCOPES = ['tenant:read', 'tenant:write', 'tenant:admin'] as const;
export type TenantScope = (typeof TENANT_SCOPES)[number];
export const OPERATOR_SCOPE = 'operator';

/** The caller of a request. */
export type Principal =
  | { kind: 'operator'; keyId: string }
  | { kind: 'tenant'; keyId: string; tenantId: string; scopes: readonly TenantScope[] };

/** The scopes that each scope includes. */
const INCLUDED: Record<TenantScope, readonly TenantScope[]> = {
  'tenant:read': ['tenant:read'],
  'tenant:write': ['tenant:read', 'tenant:write'],
  'tenant:admin': ['tenant:read', 'tenant:write', 'tenant:admin'],
};

/** Whether the principal has the scope. The operator has every scope. */
export function hasScope(principal: Principal, scope: TenantScope): boolean {
  return principal.kind === 'operator' || principal.scopes.some((held) => INCLUDED[held].includes(scope));
}
