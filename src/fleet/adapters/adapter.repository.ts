import { registeredBytes } from '../../platform/artifacts/index.ts';
import {
  isForeignKeyViolation,
  isUniqueViolation,
  type Prisma,
  type Queryable,
  type Transaction,
} from '../../platform/database/database.ts';
import { conflict, notFound } from '../../platform/contract/errors.ts';
import { ownedBy } from '../../tenants/tenants/index.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';
import { requestOutcomes } from '../outcomes/index.ts';
import { currentVersionRepository, WITH_CURRENT } from './current/current-version.repository.ts';
import type { UpdateAdapter } from './adapter.schemas.ts';

export function adapterExists(name: string) {
  return conflict('adapter_exists', `there is already an adapter named ${name}`);
}

const WITH_VALUE = { gateOutcomes: { select: { value: true } } } as const satisfies Prisma.AdapterVersionInclude;

const LATEST = {
  where: { superseded: false, deletedAt: null },
  orderBy: { number: 'desc' },
  take: 1,
} as const satisfies Prisma.Adapter$versionsArgs;

const WITH_LATEST = {
  baseModel: true,
  versions: { ...LATEST, include: WITH_VALUE },
  currentVersions: WITH_CURRENT,
} as const satisfies Prisma.AdapterInclude;

export type AdapterRow = Prisma.AdapterGetPayload<{ include: typeof WITH_LATEST }>;
export type AdapterVersionRow = Prisma.AdapterVersionGetPayload<{ include: typeof WITH_VALUE }>;

/**
 * Locks an adapter until the end of the transaction, so that concurrent transactions number the adapter's new versions
 * one after the other.
 */
export const lockAdapter = (tx: Transaction, id: string): Promise<unknown> =>
  tx.$queryRaw`SELECT id FROM adapters WHERE id = ${id} FOR NO KEY UPDATE`;

/**
 * Inserts a new version of an adapter with the next number. Concurrent callers wait for each other. The new version
 * becomes the adapter's latest version unless it is provisional or comes too late. A carried-over version comes too
 * late if, after its source version, the adapter got a version for a newer base model version or a new import. A
 * database trigger decides whether the new version becomes the current version for its base model version.
 */
export async function insertAdapterVersion(
  tx: Transaction,
  version: Omit<Prisma.AdapterVersionUncheckedCreateInput, 'number' | 'superseded' | 'bytes'>,
) {
  await lockAdapter(tx, version.adapterId);
  const newest = await tx.adapterVersion.aggregate({
    where: { adapterId: version.adapterId },
    _max: { number: true },
  });
  const superseded = version.provisional === true || (await isSuperseded(tx, version));
  const bytes = (await registeredBytes(tx, version.artifactDigest)) ?? 0n;
  const number = (newest._max.number ?? 0) + 1;
  const before = await currentVersionRepository.find(tx, {
    adapterId: version.adapterId,
    baseModelVersionId: version.baseModelVersionId,
  });
  const created = await tx.adapterVersion.create({
    data: { ...version, superseded, number, bytes },
    include: WITH_VALUE,
  });
  await recordIfCurrent(tx, created, before?.adapterVersionId ?? null);
  if (!created.provisional) await retireProvisional(tx, created);
  if (version.gateOutcomes === undefined && !superseded) await requestOutcomesOfLatest(tx, version.adapterId);
  return created;
}

/**
 * Marks an adapter's provisional versions for a base model version as deleted, because a measured version for the same
 * base model version has been published. A provisional version that is still current stays. The collector removes the
 * files of deleted versions later.
 */
async function retireProvisional(
  tx: Transaction,
  { adapterId, baseModelVersionId }: { adapterId: string; baseModelVersionId: string },
): Promise<void> {
  await tx.$executeRaw`
    UPDATE adapter_versions v SET deleted_at = clock_timestamp()
    WHERE v.adapter_id = ${adapterId} AND v.base_model_version_id = ${baseModelVersionId} AND v.provisional
      AND v.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM current_versions c WHERE c.adapter_version_id = v.id)`;
}

/**
 * Records an event if a newly inserted version has become the current version for its base model version.
 *
 * @param from identifier of the version that was current before the insertion; null if none was
 */
async function recordIfCurrent(
  tx: Transaction,
  version: { id: string; tenantId: string; adapterId: string; baseModelVersionId: string },
  from: string | null,
): Promise<void> {
  const { id: to, tenantId, adapterId, baseModelVersionId } = version;
  const key = { adapterId, baseModelVersionId };
  const current = await currentVersionRepository.find(tx, key);
  if (current?.adapterVersionId !== to) return;
  await currentVersionRepository.recordMove(tx, { ...key, tenantId }, { from, to });
}

/**
 * Requests that two versions of an adapter be measured on the gate rows: the latest version, which the next rollout
 * carries over, and the imported version that is the anchor of the latest version.
 */
export async function requestOutcomesOfLatest(tx: Transaction, adapterId: string): Promise<void> {
  const select = { tenantId: true, gate: true, datasetId: true };
  const versions = { ...LATEST, select: { id: true, anchorVersionId: true } };
  const adapter = await tx.adapter.findUniqueOrThrow({ where: { id: adapterId }, select: { ...select, versions } });
  const ids = adapter.versions.flatMap(({ id, anchorVersionId }) => [id, anchorVersionId ?? id]);
  const found = await tx.adapterVersion.findMany({ where: { id: { in: ids }, deletedAt: null }, select: { id: true } });
  const { tenantId } = adapter;
  await requestOutcomes(tx, adapter, { tenantId, versionIds: found.map(({ id }) => id) });
}

/**
 * Whether a carried-over version comes too late to become the adapter's latest version: after its source version, the
 * adapter got a version for a newer base model version or a new import. Identifiers sort by creation, so the greater
 * identifier belongs to the newer base model version.
 */
async function isSuperseded(
  tx: Transaction,
  { adapterId, baseModelVersionId, parentVersionId }: Omit<Prisma.AdapterVersionUncheckedCreateInput, 'number'>,
): Promise<boolean> {
  if (parentVersionId === undefined || parentVersionId === null) return false;
  const { number } = await tx.adapterVersion.findUniqueOrThrow({ where: { id: parentVersionId } });
  const earlier = await tx.adapterVersion.count({
    where: {
      adapterId,
      provisional: false,
      OR: [
        { number: { gte: number }, baseModelVersionId: { gt: baseModelVersionId } },
        { number: { gt: number }, origin: 'imported' },
      ],
    },
  });
  return earlier > 0;
}

interface StoredFlip {
  row: number;
  slices: string[];
}

export interface NegativeFlipRow extends StoredFlip {
  /** Number of the gate row as text, padded with zeros so that texts sort like numbers. */
  id: string;
  datasetId: string | null;
}

/** Filter for rows that are not deleted, and whose tenant is not deleted either. */
const LIVE = { deletedAt: null, tenant: { deletedAt: null } };

export async function insertAdapter(tx: Transaction, adapter: Prisma.AdapterUncheckedCreateInput): Promise<void> {
  try {
    await tx.adapter.create({ data: adapter });
  } catch (error) {
    if (isUniqueViolation(error)) throw adapterExists(adapter.name);
    if (isForeignKeyViolation(error)) throw notFound('tenant', adapter.tenantId);
    throw error;
  }
}

/**
 * Finds an adapter that is not deleted; null if there is none.
 *
 * @param tenantId tenant that must own the adapter; null for any tenant
 */
export function findAdapterRow(db: Queryable, id: string, tenantId: string | null): Promise<AdapterRow | null> {
  return db.adapter.findFirst({ where: { id, ...ownedBy(tenantId), ...LIVE }, include: WITH_LATEST });
}

export async function isAdapterNameTaken(db: Queryable, tenantId: string, name: string): Promise<boolean> {
  return (await db.adapter.count({ where: { tenantId, name } })) > 0;
}

/**
 * Locks an adapter, so that no job can be planned for it until the transaction ends.
 * @returns an unfinished job that needs the adapter's dataset and gate, or null if there is none
 */
export async function lockAdapterForUpdate(tx: Transaction, id: string): Promise<{ id: string } | null> {
  await tx.$queryRaw`SELECT id FROM adapters WHERE id = ${id} FOR UPDATE`;
  return tx.job.findFirst({
    where: { adapterId: id, OR: [{ finishedAt: null }, { baselinesPending: true }] },
    select: { id: true },
  });
}

export async function setAdapterDataset(tx: Transaction, id: string, datasetId: string | null): Promise<void> {
  try {
    await tx.adapter.update({ where: { id }, data: { datasetId }, select: { id: true } });
  } catch (error) {
    if (datasetId !== null && isForeignKeyViolation(error)) throw notFound('dataset', datasetId);
    throw error;
  }
}

/**
 * Stores changed settings of an adapter, except its dataset.
 *
 * @param settings new values of the settings that change, by their names in the API
 */
export async function setAdapterSettings(
  tx: Transaction,
  id: string,
  settings: Omit<UpdateAdapter, 'dataset_id'>,
): Promise<void> {
  if (Object.keys(settings).length === 0) return;
  const { pinned_base_model_version_id: pin, gate, ...others } = settings;
  const json = gate as Prisma.InputJsonObject | undefined;
  const data = {
    ...others,
    ...(json !== undefined && { gate: json }),
    ...(pin !== undefined && { pinnedBaseModelVersionId: pin }),
  };
  await tx.adapter.update({ where: { id }, data, select: { id: true } });
}

/**
 * Finds a version of an adapter; null if there is none, or if the version or the adapter is deleted.
 *
 * @param tenantId tenant that must own the version; null for any tenant
 */
export function findAdapterVersion(
  db: Queryable,
  { adapterId, id }: { adapterId: string; id: string },
  tenantId: string | null,
): Promise<AdapterVersionRow | null> {
  return db.adapterVersion.findFirst({
    where: { id, adapterId, ...ownedBy(tenantId), deletedAt: null, adapter: LIVE },
    include: WITH_VALUE,
  });
}

export function pageOfAdapterVersions(
  db: Queryable,
  adapterId: string,
  query: PageQuery,
): Promise<AdapterVersionRow[]> {
  const { where, ...page } = pageArguments(query);
  return db.adapterVersion.findMany({ ...page, where: { ...where, adapterId, deletedAt: null }, include: WITH_VALUE });
}

/**
 * Reads the negative flips of a version in the order of their rows. A negative flip is a gate row that the old version
 * answered correctly and this version does not. One database column holds all flips of a version, because their number
 * is bounded.
 */
export async function negativeFlipsOf(db: Queryable, adapterVersionId: string): Promise<NegativeFlipRow[]> {
  const found = await db.negativeFlips.findUnique({ where: { adapterVersionId } });
  return ((found?.flips ?? []) as unknown as StoredFlip[]).map(({ row, slices }) => {
    return { id: String(row).padStart(10, '0'), row, slices, datasetId: found?.datasetId ?? null };
  });
}

/** Reads one page of the negative flips of a version, from the list of {@link negativeFlipsOf}. */
export async function pageOfNegativeFlips(
  db: Queryable,
  adapterVersionId: string,
  query: PageQuery,
): Promise<NegativeFlipRow[]> {
  const { where, take } = pageArguments(query, 'asc');
  const after = where.id !== undefined && 'gt' in where.id ? where.id.gt : '';
  return (await negativeFlipsOf(db, adapterVersionId)).filter(({ id }) => id > after).slice(0, take);
}
