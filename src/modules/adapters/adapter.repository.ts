import {
  isForeignKeyViolation,
  isUniqueViolation,
  type Database,
  type Prisma,
  type Queryable,
  type Transaction,
} from '../../lib/database.ts';
import { conflict, notFound } from '../../lib/errors.ts';
import { pageArguments, type PageQuery } from '../../lib/pagination.ts';
import type { ListAdaptersQuery } from './adapter.schemas.ts';

export type AdapterRepository = ReturnType<typeof createAdapterRepository>;
export type AdapterRow = NonNullable<Awaited<ReturnType<AdapterRepository['find']>>>;
export type AdapterVersionRow = NonNullable<Awaited<ReturnType<AdapterRepository['findVersion']>>>;
export type BaseModelVersionRow = NonNullable<Awaited<ReturnType<AdapterRepository['findBaseModelVersion']>>>;

export function adapterExists(name: string) {
  return conflict('adapter_exists', `there is already an adapter named ${name}`);
}

const WITH_LATEST = {
  baseModel: true,
  versions: { orderBy: { number: 'desc' }, take: 1 },
} as const satisfies Prisma.AdapterInclude;

const ownedBy = (tenantId: string | null) => (tenantId === null ? {} : { tenantId });

/** `tenantId` null, throughout: whoever's it is. */
export function createAdapterRepository(db: Database) {
  return {
    async insert(adapter: Prisma.AdapterUncheckedCreateInput, tx: Queryable = db): Promise<void> {
      try {
        await tx.adapter.create({ data: adapter });
      } catch (error) {
        if (isUniqueViolation(error)) throw adapterExists(adapter.name);
        if (isForeignKeyViolation(error)) throw notFound('tenant', adapter.tenantId);
        throw error;
      }
    },
    find: (id: string, tenantId: string | null, tx: Queryable = db) =>
      tx.adapter.findFirst({ where: { id, ...ownedBy(tenantId) }, include: WITH_LATEST }),
    isNameTaken: async (tenantId: string, name: string, tx: Queryable = db) =>
      (await tx.adapter.count({ where: { tenantId, name } })) > 0,
    page(query: ListAdaptersQuery, tenantId: string | null, tx: Queryable = db) {
      const { where, ...page } = pageArguments(query);
      const name = query.name === undefined ? {} : { name: query.name };
      const given = ownedBy(query.tenant_id ?? null);
      return tx.adapter.findMany({
        ...page,
        where: { AND: [where, ownedBy(tenantId), given, name] },
        include: WITH_LATEST,
      });
    },

    /** Adds the next version of an adapter; those who add one at the same time wait for each other. */
    async insertVersion(version: Omit<Prisma.AdapterVersionUncheckedCreateInput, 'number'>, tx: Transaction) {
      await tx.$queryRaw`SELECT id FROM adapters WHERE id = ${version.adapterId} FOR UPDATE`;
      const { _max } = await tx.adapterVersion.aggregate({
        where: { adapterId: version.adapterId },
        _max: { number: true },
      });
      return tx.adapterVersion.create({ data: { ...version, number: (_max.number ?? 0) + 1 } });
    },
    findVersion: (adapterId: string, id: string, tenantId: string | null, tx: Queryable = db) =>
      tx.adapterVersion.findFirst({ where: { id, adapterId, ...ownedBy(tenantId) } }),
    pageVersions(adapterId: string, query: PageQuery, tx: Queryable = db) {
      const { where, ...page } = pageArguments(query);
      return tx.adapterVersion.findMany({ ...page, where: { ...where, adapterId } });
    },

    findBaseModel: (reference: string, tx: Queryable = db) =>
      tx.baseModel.findFirst({ where: { OR: [{ id: reference }, { name: reference }] } }),
    /** By identifier or version text, among the versions of one base model. */
    findBaseModelVersion: (baseModelId: string, reference: string, tx: Queryable = db) =>
      tx.baseModelVersion.findFirst({ where: { baseModelId, OR: [{ id: reference }, { version: reference }] } }),
    datasetExists: async (id: string, tenantId: string, tx: Queryable = db) =>
      (await tx.dataset.count({ where: { id, tenantId } })) > 0,
    tenantExists: async (id: string, tx: Queryable = db) => (await tx.tenant.count({ where: { id } })) > 0,
  };
}
