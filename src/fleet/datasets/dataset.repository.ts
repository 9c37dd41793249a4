import {
  isForeignKeyViolation,
  isUniqueViolation,
  type Database,
  type Prisma,
  type Queryable,
} from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { ownedBy } from '../../tenants/tenants/index.ts';
import { pageArguments } from '../../platform/contract/pagination.ts';
import type { ListDatasetsQuery } from './dataset.schemas.ts';

type DatasetRepository = ReturnType<typeof createDatasetRepository>;
export type DatasetRecord = NonNullable<Awaited<ReturnType<DatasetRepository['find']>>>;

export function datasetExists(name: string) {
  return conflict('dataset_exists', `there is already a dataset named ${name}`);
}

/** Filter for rows that are not deleted, and whose tenant is not deleted either. */
const LIVE = { deletedAt: null, tenant: { deletedAt: null } };

/** Creates the repository of datasets. A `tenantId` of null stands for any tenant. */
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
    find: (id: string, tenantId: string | null, tx: Queryable = db) =>
      tx.dataset.findFirst({ where: { id, ...ownedBy(tenantId), ...LIVE } }),
    isNameTaken: async (tenantId: string, name: string, tx: Queryable = db) =>
      (await tx.dataset.count({ where: { tenantId, name } })) > 0,
    page(query: ListDatasetsQuery, tenantId: string | null, tx: Queryable = db) {
      const { where, ...page } = pageArguments(query);
      const name = query.name === undefined ? {} : { name: query.name };
      return tx.dataset.findMany({
        ...page,
        where: { AND: [where, ownedBy(tenantId), ownedBy(query.tenant_id), name, LIVE] },
      });
    },
  };
}
