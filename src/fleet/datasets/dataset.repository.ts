import {
  isForeignKeyViolation,
  isUniqueViolation,
  type Prisma,
  type Queryable,
} from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { ownedBy } from '../../tenants/tenants/index.ts';
import { pageArguments } from '../../platform/contract/pagination.ts';
import type { ListDatasetsQuery } from './dataset.schemas.ts';

export type DatasetRecord = Prisma.DatasetGetPayload<object>;

export function datasetExists(name: string) {
  return conflict('dataset_exists', `there is already a dataset named ${name}`);
}

/** Filter for rows that are not deleted, and whose tenant is not deleted either. */
const LIVE = { deletedAt: null, tenant: { deletedAt: null } };

export async function insertDataset(
  db: Queryable,
  dataset: Prisma.DatasetUncheckedCreateInput,
): Promise<DatasetRecord> {
  try {
    return await db.dataset.create({ data: dataset });
  } catch (error) {
    if (isUniqueViolation(error)) throw datasetExists(dataset.name);
    if (isForeignKeyViolation(error)) throw notFound('tenant', dataset.tenantId);
    throw error;
  }
}

/**
 * Finds a dataset that is not deleted; null if there is none.
 *
 * @param tenantId tenant that must own the dataset; null for any tenant
 */
export function findDataset(db: Queryable, id: string, tenantId: string | null): Promise<DatasetRecord | null> {
  return db.dataset.findFirst({ where: { id, ...ownedBy(tenantId), ...LIVE } });
}

export async function isDatasetNameTaken(db: Queryable, tenantId: string, name: string): Promise<boolean> {
  return (await db.dataset.count({ where: { tenantId, name } })) > 0;
}

/**
 * Reads one page of datasets that are not deleted.
 *
 * @param tenantId tenant that must own the datasets; null for all tenants
 */
export function pageOfDatasets(
  db: Queryable,
  query: ListDatasetsQuery,
  tenantId: string | null,
): Promise<DatasetRecord[]> {
  const { where, ...page } = pageArguments(query);
  const name = query.name === undefined ? {} : { name: query.name };
  return db.dataset.findMany({
    ...page,
    where: { AND: [where, ownedBy(tenantId), ownedBy(query.tenant_id), name, LIVE] },
  });
}
