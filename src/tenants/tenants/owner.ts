import { AppError, notFound } from '../../platform/contract/errors.ts';

/** Makes the Prisma condition that selects the rows of one tenant, or of all tenants if none is given. */
export function ownedBy(tenantId: string | null | undefined): { tenantId?: string } {
  return tenantId === null || tenantId === undefined ? {} : { tenantId };
}

/**
 * Determines the tenant that will own a new resource.
 *
 * @param scope the tenant to which the caller is confined; null for the operator, who has to name a tenant
 * @param requested the `tenant_id` of the request
 * @throws AppError 404 if a tenant names another tenant, 400 `tenant_required` if the operator names none
 */
export function resolveOwner(scope: string | null, requested: string | undefined): string {
  if (scope === null && requested === undefined) {
    const message = 'tenant_id is missing: an operator has to name the tenant';
    throw new AppError({ code: 'tenant_required', status: 400, message });
  }
  if (scope !== null && requested !== undefined && requested !== scope) throw notFound('tenant', requested);
  return scope ?? requested!;
}
