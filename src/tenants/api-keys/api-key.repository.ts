import {
  columnsOf,
  isForeignKeyViolation,
  Prisma,
  type Database,
  type Queryable,
} from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';
import { OPERATOR_SCOPES } from '../../platform/contract/principal.ts';

const FIELDS = Object.keys(Prisma.ApiKeyScalarFieldEnum);

export interface NewApiKey {
  id: string;
  tenantId: string | null;
  name: string;
  prefix: string;
  secretHash: string;
  scopes: string[];
  expiresAt: Date | null;
  /** Identifier of the key that this key replaces. */
  rotatedFromId?: string | null;
}

export type ApiKeyRow = Prisma.ApiKeyGetPayload<object>;

/** Creates the queries on API keys. A `tenantId` of undefined means the keys of all tenants and of the operator. */
export function createApiKeyRepository(db: Database) {
  return {
    async insert(key: NewApiKey, tx: Queryable = db) {
      try {
        const { tenantId } = key;
        const isGone = tenantId !== null && (await tx.tenant.count({ where: { id: tenantId, deletedAt: null } })) === 0;
        if (isGone) throw notFound('tenant', tenantId);
        return await tx.apiKey.create({ data: key });
      } catch (error) {
        if (isForeignKeyViolation(error)) throw notFound('tenant', key.tenantId ?? '');
        throw error;
      }
    },
    page: (query: PageQuery, tenantId: string | undefined, tx: Queryable = db) => {
      const { where, ...rest } = pageArguments(query);
      return tx.apiKey.findMany({ ...rest, where: { ...where, tenantId } });
    },
    find: (id: string, tenantId: string | undefined, tx: Queryable = db) =>
      tx.apiKey.findFirst({ where: { id, tenantId } }),
    findWithOwner: (id: string, tenantId: string | null, tx: Queryable = db) =>
      tx.apiKey.findFirst({ where: { id, tenantId }, include: { tenant: { select: { name: true } } } }),
    /** Finds keys by their prefixes, except those of deleted tenants. */
    findByPrefixes: (prefixes: string[], tx: Queryable = db) =>
      readRows<ApiKeyRow>(
        tx,
        Prisma.sql`
          SELECT ${columnsOf('k', FIELDS)} FROM api_keys k WHERE k.prefix = ANY(${prefixes}::text[]) AND (
            k.tenant_id IS NULL OR EXISTS (SELECT FROM tenants t WHERE t.id = k.tenant_id AND t.deleted_at IS NULL))`,
      ),
    /** Stores the present time as the last use of an API key. */
    noteUse: (id: string, tx: Queryable = db) =>
      tx.apiKey.updateMany({ where: { id }, data: { lastUsedAt: new Date() } }),
    /**
     * Locks an API key until the transaction ends. Reads it together with the key that it has replaced and the key that
     * has replaced it, if there are any.
     */
    async lockWithRotation(id: string, tenantId: string | undefined, tx: Queryable) {
      await tx.$queryRaw`SELECT id FROM api_keys WHERE id = ${id} FOR NO KEY UPDATE`;
      return tx.apiKey.findFirst({ where: { id, tenantId }, include: { rotatedFrom: true, successor: true } });
    },
    setExpiry: (id: string, expiresAt: Date, tx: Queryable = db) =>
      tx.apiKey.update({ where: { id }, data: { expiresAt } }),
    /**
     * Revokes an API key.
     * @returns null if the key had been revoked before
     */
    async revoke(id: string, tx: Queryable = db) {
      const [row] = await tx.apiKey.updateManyAndReturn({
        where: { id, revokedAt: null },
        data: { revokedAt: new Date() },
      });
      return row ?? null;
    },
    countOperatorKeys: (tx: Queryable = db) =>
      tx.apiKey.count({ where: { tenantId: null, scopes: { hasSome: [...OPERATOR_SCOPES] } } }),
    /**
     * Takes a lock until the transaction ends, so that of several processes which start at once only one creates the
     * operator's first key.
     */
    lockOperatorKeys: (tx: Queryable) => tx.$executeRaw`SELECT pg_advisory_xact_lock(7236835)`,
  };
}
