import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import type { RolloutState } from '../rollout.states.ts';

/** Row of a rollout that this transaction has locked. */
export interface LockedRollout {
  readonly id: string;
  readonly state: RolloutState;
  readonly base_model_version_id: string;
  readonly options: unknown;
  readonly superseded_by_id: string | null;
}

export const successionRepository = {
  /**
   * Locks the rows of a rollout and of the unfinished rollouts of the same base model to older versions. They are
   * locked in the order of their identifiers, so that two transactions do not deadlock. Versions are older if their
   * identifiers are smaller, because identifiers sort by creation.
   */
  lockWithOlder: (tx: Transaction, id: string) =>
    tx.$queryRaw<LockedRollout[]>`
      SELECT r.id, r.state::text AS state, r.base_model_version_id, r.options, r.superseded_by_id FROM rollouts r
      WHERE r.id = ${id} OR (r.finished_at IS NULL AND r.base_model_version_id IN (
        SELECT older.id FROM rollouts own JOIN base_model_versions v ON v.id = own.base_model_version_id
        JOIN base_model_versions older ON older.base_model_id = v.base_model_id AND older.id < v.id
        WHERE own.id = ${id}))
      ORDER BY r.id FOR NO KEY UPDATE`,

  /**
   * Stores in the rows of the rollouts `ids` that they are superseded by the rollout `by`, which goes to a newer base
   * model version and takes adapters from them. Rows that already name the rollout `by` stay unchanged.
   * @returns the rollouts whose rows were changed
   */
  markSuperseded: (tx: Transaction, ids: readonly string[], by: string) =>
    tx.$queryRaw<{ id: string; state: RolloutState }[]>`
      UPDATE rollouts SET superseded_by_id = ${by}, updated_at = clock_timestamp()
      WHERE id = ANY(${[...ids]}::text[]) AND superseded_by_id IS DISTINCT FROM ${by}
      RETURNING id, state::text AS state`,

  /**
   * Finds those of the adapters that a newer rollout has taken: they have a job in a rollout to a newer base model
   * version that has not ended, or that was accepted later than this rollout.
   */
  async takenByNewer(tx: Transaction, rolloutId: string, adapterIds: readonly string[]): Promise<string[]> {
    const rows = await tx.$queryRaw<{ adapter_id: string }[]>`
      SELECT DISTINCT j.adapter_id FROM rollouts own
      JOIN base_model_versions v ON v.id = own.base_model_version_id
      JOIN base_model_versions newer ON newer.base_model_id = v.base_model_id AND newer.id > v.id
      JOIN rollouts r ON r.base_model_version_id = newer.id
        AND (r.accepted_at > own.accepted_at OR r.finished_at IS NULL)
      JOIN jobs j ON j.rollout_id = r.id AND j.adapter_id = ANY(${[...adapterIds]}::text[])
      WHERE own.id = ${rolloutId}`;
    return rows.map((row) => row.adapter_id);
  },

  /** Lists the older base model versions to which unfinished jobs of other rollouts still carry adapters over. */
  async versionsOnTheWay(db: Queryable, baseModelVersionId: string): Promise<string[]> {
    const rows = await db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT older.id FROM base_model_versions v
      JOIN base_model_versions older ON older.base_model_id = v.base_model_id AND older.id < v.id
      JOIN rollouts r ON r.base_model_version_id = older.id AND r.finished_at IS NULL
      WHERE v.id = ${baseModelVersionId} AND EXISTS (
        SELECT 1 FROM rollout_counts c WHERE c.rollout_id = r.id AND c.unfinished > 0)`;
    return rows.map((row) => row.id);
  },

  /**
   * Finds rollouts that have late adapters and are running or have ended, but none that is paused or still planning.
   * The rollout to the newest base model version comes first.
   */
  rolloutsWithLate: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM rollouts r
      WHERE r.state IN ('adapting', 'completed', 'failed', 'cancelled')
        AND r.id IN (SELECT rollout_id FROM late_adapters)
      ORDER BY r.base_model_version_id DESC, r.id DESC`,

  /** Reads the identifiers of up to `limit` late adapters of a rollout. */
  async lateAdapters(tx: Transaction, rolloutId: string, limit: number): Promise<string[]> {
    const rows = await tx.$queryRaw<{ adapter_id: string }[]>`
      SELECT adapter_id FROM late_adapters WHERE rollout_id = ${rolloutId} ORDER BY adapter_id LIMIT ${limit}`;
    return rows.map((row) => row.adapter_id);
  },

  forgetLate: (tx: Transaction, rolloutId: string, adapterIds: readonly string[] | null) =>
    tx.$executeRaw`
      DELETE FROM late_adapters WHERE rollout_id = ${rolloutId}
        ${adapterIds === null ? Prisma.empty : Prisma.sql`AND adapter_id = ANY(${[...adapterIds]}::text[])`}`,
};
