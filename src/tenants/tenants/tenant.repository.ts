import { isUniqueViolation, type Queryable } from '../../platform/database/database.ts';
import { conflict } from '../../platform/contract/errors.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';

export function tenantExists(name: string) {
  return conflict('tenant_exists', `there is already a tenant named ${name}`);
}

export async function insertTenant(db: Queryable, tenant: { id: string; name: string }) {
  try {
    return await db.tenant.create({ data: tenant });
  } catch (error) {
    if (isUniqueViolation(error)) throw tenantExists(tenant.name);
    throw error;
  }
}

export function findTenant(db: Queryable, id: string) {
  return db.tenant.findFirst({ where: { id, deletedAt: null } });
}

export function pageOfTenants(db: Queryable, query: PageQuery) {
  const { where, ...page } = pageArguments(query);
  return db.tenant.findMany({ ...page, where: { ...where, deletedAt: null } });
}
