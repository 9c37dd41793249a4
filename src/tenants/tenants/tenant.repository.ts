import { isUniqueViolation, type Database, type Queryable } from '../../platform/database/database.ts';
import { conflict } from '../../platform/contract/errors.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';

export function tenantExists(name: string) {
  return conflict('tenant_exists', `there is already a tenant named ${name}`);
}

export function createTenantRepository(db: Database) {
  return {
    async insert(tenant: { id: string; name: string }, tx: Queryable = db) {
      try {
        return await tx.tenant.create({ data: tenant });
      } catch (error) {
        if (isUniqueViolation(error)) throw tenantExists(tenant.name);
        throw error;
      }
    },
    find: (id: string, tx: Queryable = db) => tx.tenant.findFirst({ where: { id, deletedAt: null } }),
    page(query: PageQuery, tx: Queryable = db) {
      const { where, ...page } = pageArguments(query);
      return tx.tenant.findMany({ ...page, where: { ...where, deletedAt: null } });
    },
  };
}
