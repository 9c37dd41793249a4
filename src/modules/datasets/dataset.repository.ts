import {
  isForeignKeyViolation,
  isUniqueViolation,
  type Database,
  type Prisma,
  type Queryable,
} from '../../lib/database.ts';
import { conflict, notFound } from '../../lib/errors.ts';
import { pageArguments } from '../../lib/pagination.ts';
import type { ListDatasetsQuery } from './dataset.schemas.ts';

export type DatasetRepository = ReturnType<typeof createDatasetRepository>;
export type DatasetRow = NonNullable<Awaited<ReturnType<DatasetRepository['find']>>>;

export function datasetExists(name: string) {
  return conflict('dataset_exists', `there is already a dataset named ${name}`);
}

export function createDatasetRepository(db: Database) {
  return {
    async insert(dataset: Prisma.DatasetUncheckedCreateInput, tx: Queryable = db) {
      try {
        return await tx.dataset.create({ data: dataset });
      } catch (error) {
        if (isUniqueViolation(error)) throw datasetExists(dataset.name);
        if (isForeignKeyViolation(error)) throw notFound('tenant', dataset.tenantId);
        throw error;
      }
    },
    /** `tenantId` null: whoever's it is. */
    find: (id: string, tenantId: string | null, tx: Queryable = db) =>
      tx.dataset.findFirst({ where: { id, ...(tenantId === null ? {} : { tenantId }) } }),
    isNameTaken: async (tenantId: string, name: string, tx: Queryable = db) =>
      (await tx.dataset.count({ where: { tenantId, name } })) > 0,
    tenantExists: async (id: string, tx: Queryable = db) => (await tx.tenant.count({ where: { id } })) > 0,
    page(query: ListDatasetsQuery, tenantId: string | null, tx: Queryable = db) {
      const { where, ...page } = pageArguments(query);
      const own = tenantId === null ? {} : { tenantId };
      const name = query.name === undefined ? {} : { name: query.name };
      const given = query.tenant_id === undefined ? {} : { tenantId: query.tenant_id };
      return tx.dataset.findMany({ ...page, where: { AND: [where, own, given, name] } });
    },
  };
}
