import { withTransaction, type Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { findTenant, insertTenant, pageOfTenants } from './tenant.repository.ts';
import type { CreateTenant, Tenant } from './tenant.schemas.ts';

export interface TenantService {
  /**
   * Creates a tenant.
   * @throws AppError 409 `tenant_exists`
   */
  create(request: CreateTenant, record: RecordAnswer<Tenant>): Promise<Tenant>;
  list(query: PageQuery): Promise<Page<Tenant>>;
  /**
   * Reads a tenant.
   * @param scope the tenant to which the caller is confined, or null for the operator
   * @throws AppError 404
   */
  get(id: string, scope: string | null): Promise<Tenant>;
}

export function createTenantService({ db }: { db: Database }): TenantService {
  return {
    create: ({ name }, record) =>
      withTransaction(db, async (tx) => {
        const row = await insertTenant(tx, { id: newId('tenant'), name });
        await recordEvent(tx, { tenantId: row.id, type: 'tenant.created', subjectId: row.id, data: { name } });
        const tenant = toTenant(row);
        await record(tx, tenant);
        return tenant;
      }),

    async list(query) {
      return toPage(await pageOfTenants(db, query), query, toTenant);
    },

    async get(id, scope) {
      const row = scope === null || scope === id ? await findTenant(db, id) : null;
      if (row === null) throw notFound('tenant', id);
      return toTenant(row);
    },
  };
}

export function toTenant(row: { id: string; name: string; createdAt: Date }): Tenant {
  return { id: row.id, name: row.name, created_at: toTimestamp(row.createdAt) };
}
