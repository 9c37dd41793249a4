import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { recordEvent } from '../../../delivery/events/index.ts';
import { CURRENT_SHOWN } from '../adapter.schemas.ts';

/**
 * Change of an adapter's current version for one base model version: identifiers of the versions before and after; null
 * for no version.
 */
interface Move {
  readonly from: string | null;
  readonly to: string | null;
}

/** Key of a current version: each adapter has at most one for each base model version. */
export interface CurrentVersionKey {
  readonly adapterId: string;
  readonly baseModelVersionId: string;
}

const SHOWN = {
  adapterVersion: { select: { number: true, artifactDigest: true, provisional: true } },
} as const satisfies Prisma.CurrentVersionInclude;

/**
 * Query options that read an adapter's current versions together with the adapter, the newest base model version first.
 */
export const WITH_CURRENT = {
  where: { adapterVersionId: { not: null } },
  orderBy: { baseModelVersionId: 'desc' },
  take: CURRENT_SHOWN,
  include: SHOWN,
} as const satisfies Prisma.Adapter$currentVersionsArgs;

/** Row of a current version, with the fields that answers show. */
export type CurrentVersionRow = Pick<
  Prisma.CurrentVersionGetPayload<{ include: typeof SHOWN }>,
  'adapterId' | 'baseModelVersionId' | 'adapterVersionId' | 'previousVersionId' | 'changedAt' | 'adapterVersion'
>;

/** SQL that reads the current versions of the adapter `a` as a JSON array. */
export const CURRENT_OF_A = Prisma.sql`
  SELECT COALESCE(json_agg(json_build_object('adapterId', c.adapter_id, 'baseModelVersionId', c.base_model_version_id,
      'adapterVersionId', c.adapter_version_id, 'previousVersionId', c.previous_version_id, 'changedAt', c.changed_at,
      'adapterVersion', json_build_object('number', n.number, 'artifactDigest', n.artifact_digest,
        'provisional', n.provisional))
    ORDER BY c.base_model_version_id DESC), '[]')
  FROM (
    SELECT * FROM current_versions WHERE adapter_id = a.id AND adapter_version_id IS NOT NULL
    ORDER BY base_model_version_id DESC LIMIT ${Prisma.raw(String(CURRENT_SHOWN))}
  ) AS c JOIN adapter_versions n ON n.id = c.adapter_version_id`;

/**
 * Makes the SQL that reads the job which published a version; null if there is no version or the version is
 * provisional. Provisional versions are left out so that a version that the same job publishes later may still become
 * current.
 */
function jobOf(versionId: string | null): Prisma.Sql {
  return Prisma.sql`SELECT v.job_id FROM adapter_versions v WHERE v.id = ${versionId} AND NOT v.provisional`;
}

/** Repository of current versions. Callers lock the adapter before they change anything. */
export const currentVersionRepository = {
  find: (db: Queryable, key: CurrentVersionKey): Promise<CurrentVersionRow | null> =>
    db.currentVersion.findUnique({ where: { adapterId_baseModelVersionId: key }, include: SHOWN }),

  /** Whether a base model version belongs to a base model. */
  async isOfModel(db: Queryable, baseModelId: string, baseModelVersionId: string): Promise<boolean> {
    return (await db.baseModelVersion.count({ where: { id: baseModelVersionId, baseModelId } })) > 0;
  },

  /**
   * Whether an adapter version belongs or once belonged to the adapter. Versions that the collector has removed are not
   * found.
   */
  async isKnown(db: Queryable, adapterId: string, versionId: string): Promise<boolean> {
    return (await db.adapterVersion.count({ where: { id: versionId, adapterId } })) > 0;
  },

  /**
   * Makes the version `to` of an adapter current in place of `from`, or makes no version current if `to` is null. If
   * the job that published `from` publishes another version later, the later version does not become current by itself.
   * If one job published both versions, `previous_version_id` keeps its value.
   */
  move: (tx: Transaction, key: CurrentVersionKey & { tenantId: string }, { from, to }: Move) =>
    tx.$executeRaw`
      INSERT INTO current_versions AS c (adapter_id, base_model_version_id, tenant_id, adapter_version_id, changed_at)
      VALUES (${key.adapterId}, ${key.baseModelVersionId}, ${key.tenantId}, ${to}, clock_timestamp())
      ON CONFLICT (adapter_id, base_model_version_id) DO UPDATE SET
        adapter_version_id = EXCLUDED.adapter_version_id, changed_at = EXCLUDED.changed_at,
        previous_version_id = CASE WHEN (${jobOf(from)}) = (${jobOf(to)}) THEN c.previous_version_id ELSE ${from} END,
        held_job_id = NULLIF(COALESCE((${jobOf(from)}), c.held_job_id), (${jobOf(to)}))`,

  /** Records the event that the current version of an adapter for a base model version has changed. */
  recordMove: (
    tx: Transaction,
    { adapterId, baseModelVersionId, tenantId }: CurrentVersionKey & { tenantId: string },
    { from, to }: Move,
  ): Promise<void> =>
    recordEvent(tx, {
      tenantId,
      type: 'adapter.current_moved',
      subjectId: adapterId,
      data: { base_model_version_id: baseModelVersionId, from, to },
    }),
};
