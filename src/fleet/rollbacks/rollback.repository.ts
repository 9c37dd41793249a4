import type { Queryable, Transaction } from '../../platform/database/database.ts';

/**
 * Adapter whose current version a rollback has changed. `from` is the version that the rollout had published, and `to`
 * is the version from before the rollout, or null if the adapter has no current version any more.
 */
interface MovedAdapter {
  adapter_id: string;
  tenant_id: string;
  base_model_version_id: string;
  from: string;
  to: string | null;
}

/** Adapter for which a job of the rollout has published a version. */
export interface PublishedAdapter {
  adapter_id: string;
  tenant_id: string;
}

export interface TenantCounts {
  readonly tenantId: string;
  readonly rolledBack: number;
  readonly leftAlone: number;
}

export const rollbackRepository = {
  /** Locks a rollout's row until the transaction ends; null if there is no such rollout. */
  async lockRollout(tx: Transaction, id: string): Promise<{ state: string; finished_at: Date | null } | null> {
    const [row] = await tx.$queryRaw<{ state: string; finished_at: Date | null }[]>`
      SELECT state::text AS state, finished_at FROM rollouts WHERE id = ${id} FOR NO KEY UPDATE`;
    return row ?? null;
  },

  find: (db: Queryable, rolloutId: string) => db.rolloutRollback.findUnique({ where: { rolloutId } }),

  /**
   * Reads a rollout's rollback as a tenant sees it: its times, and the counts of the tenant's own adapters. Null if the
   * rollout has not been rolled back.
   */
  async findOf(db: Queryable, rolloutId: string, tenantId: string) {
    const select = { requestedAt: true, finishedAt: true };
    const row = await db.rolloutRollback.findUnique({ where: { rolloutId }, select });
    if (row === null) return null;
    const counts = await db.rollbackCount.findUnique({ where: { rolloutId_tenantId: { rolloutId, tenantId } } });
    return { ...row, rolledBack: counts?.rolledBack ?? 0, leftAlone: counts?.leftAlone ?? 0 };
  },

  /** Stores that a rollback of the rollout begins. If there was one before, its counts start again at zero. */
  async begin(tx: Transaction, rolloutId: string): Promise<void> {
    await tx.rollbackCount.deleteMany({ where: { rolloutId } });
    await tx.$executeRaw`
      INSERT INTO rollout_rollbacks (rollout_id, requested_at) VALUES (${rolloutId}, clock_timestamp())
      ON CONFLICT (rollout_id) DO UPDATE SET after_adapter_id = NULL, rolled_back = 0, left_alone = 0,
        requested_at = EXCLUDED.requested_at, finished_at = NULL`;
  },

  /** Whether any adapter has a version of this rollout as its current version. */
  async isCurrentSomewhere(tx: Transaction, rolloutId: string): Promise<boolean> {
    const [row] = await tx.$queryRaw<{ found: boolean }[]>`
      SELECT EXISTS (
        SELECT FROM jobs j JOIN adapter_versions v ON v.job_id = j.id JOIN current_versions c ON c.adapter_version_id =
          v.id
        WHERE j.rollout_id = ${rolloutId}
      ) AS found`;
    return row?.found === true;
  },

  /** Lists the identifiers of rollouts whose rollback has begun and is not finished. */
  async unfinished(db: Queryable): Promise<string[]> {
    const rows = await db.rolloutRollback.findMany({ where: { finishedAt: null }, select: { rolloutId: true } });
    return rows.map(({ rolloutId }) => rolloutId);
  },

  /**
   * Locks an unfinished rollback, so that only one process at a time works on it.
   * @returns the last adapter that was handled, after which the rollback continues; null if the rollback is finished
   */
  async lock(tx: Transaction, rolloutId: string): Promise<{ after: string } | null> {
    const [row] = await tx.$queryRaw<{ after: string }[]>`
      SELECT COALESCE(after_adapter_id, '') AS after FROM rollout_rollbacks
      WHERE rollout_id = ${rolloutId} AND finished_at IS NULL FOR UPDATE`;
    return row ?? null;
  },

  /** Reads the next adapters for which the rollout has published a version, in the order of their identifiers. */
  async page(
    tx: Transaction,
    rolloutId: string,
    { after, limit }: { after: string; limit: number },
  ): Promise<PublishedAdapter[]> {
    return tx.$queryRaw<PublishedAdapter[]>`
      SELECT j.adapter_id, j.tenant_id FROM jobs j
      WHERE j.rollout_id = ${rolloutId} AND j.kind = 'adaptation' AND j.adapter_id > ${after}
        AND EXISTS (SELECT FROM adapter_versions v WHERE v.job_id = j.id)
      ORDER BY j.rollout_id, j.adapter_id LIMIT ${limit}`;
  },

  /**
   * Locks adapters in the order of their identifiers, so that two batches do not deadlock. A job that publishes a
   * version locks its adapter too.
   */
  lockAdapters: (tx: Transaction, ids: readonly string[]) =>
    tx.$queryRaw`SELECT id FROM adapters WHERE id = ANY(${[...ids]}::text[]) ORDER BY id FOR NO KEY UPDATE`,

  /**
   * Rolls back the adapters whose current version is one that the rollout has published: the version from before the
   * rollout becomes current again. If there was none, or it has been deleted, the adapter has no current version
   * afterwards.
   */
  move: (tx: Transaction, rolloutId: string, adapterIds: readonly string[]) =>
    tx.$queryRaw<MovedAdapter[]>`
      WITH made AS (
        SELECT c.adapter_id, c.base_model_version_id, v.id AS version_id, v.job_id, (
            SELECT e.id FROM adapter_versions e LEFT JOIN jobs ej ON ej.id = e.job_id
            WHERE e.id = c.previous_version_id AND e.deleted_at IS NULL AND ej.rollout_id IS DISTINCT FROM r.id
          ) AS target
        FROM rollouts r
        JOIN current_versions c ON c.base_model_version_id = r.base_model_version_id
        JOIN adapter_versions v ON v.id = c.adapter_version_id
        JOIN jobs j ON j.id = v.job_id AND j.rollout_id = r.id
        WHERE r.id = ${rolloutId} AND c.adapter_id = ANY(${[...adapterIds]}::text[])
      )
      UPDATE current_versions c SET adapter_version_id = made.target, previous_version_id = made.version_id,
        held_job_id = made.job_id, changed_at = clock_timestamp()
      FROM made WHERE c.adapter_id = made.adapter_id AND c.base_model_version_id = made.base_model_version_id
      RETURNING c.adapter_id, c.tenant_id, c.base_model_version_id, made.version_id AS "from", made.target AS "to"`,

  /**
   * Adds the adapters of a batch to the counts of the rollback, and stores how far the rollback is.
   * @param last last adapter of the batch; null if the batch is the last one, which finishes the rollback
   */
  advance: (
    tx: Transaction,
    rolloutId: string,
    batch: { last: string | null; rolledBack: number; leftAlone: number },
  ) =>
    tx.$executeRaw`
      UPDATE rollout_rollbacks SET rolled_back = rolled_back + ${batch.rolledBack}, left_alone = left_alone +
        ${batch.leftAlone},
        after_adapter_id = COALESCE(${batch.last}, after_adapter_id),
        finished_at = CASE WHEN ${batch.last}::text IS NULL THEN clock_timestamp() END
      WHERE rollout_id = ${rolloutId}`,

  /** Adds the adapters of a batch to the counts that the rollback keeps for each tenant. */
  countByTenant: (tx: Transaction, rolloutId: string, counts: readonly TenantCounts[]) =>
    tx.$executeRaw`
      INSERT INTO rollback_counts AS c (rollout_id, tenant_id, rolled_back, left_alone)
      SELECT ${rolloutId}, n."tenantId", n."rolledBack", n."leftAlone"
      FROM jsonb_to_recordset(${JSON.stringify(counts)}::jsonb) AS n ("tenantId" text, "rolledBack" int,
        "leftAlone" int)
      ON CONFLICT (rollout_id, tenant_id) DO UPDATE SET
        rolled_back = c.rolled_back + EXCLUDED.rolled_back, left_alone = c.left_alone + EXCLUDED.left_alone`,
};
