import type { Transaction } from '../../platform/database/database.ts';
import { WANTS_PROVISIONAL } from './provisional/provisional.repository.ts';

export const settlementRepository = {
  /**
   * Locks a rollout's row before a job of the rollout ends. If its last two jobs end at the same time, the second
   * transaction therefore sees the end of the first.
   * @returns the state of the rollout; an empty text if it does not exist
   */
  async lockRollout(tx: Transaction, rolloutId: string): Promise<string> {
    const [row] = await tx.$queryRaw<{ state: string }[]>`
      SELECT state::text AS state FROM rollouts WHERE id = ${rolloutId} FOR NO KEY UPDATE`;
    return row?.state ?? '';
  },

  /**
   * Marks a rollout as completed if nothing in it is left to do: all jobs have ended, the measurements that reports
   * compare them with (baselines) are made, all provisional versions are made, and no late adapter still has to join.
   * The rollout's row must be locked.
   * @returns null if the rollout was not completed by this call
   */
  async completeRollout(tx: Transaction, rolloutId: string): Promise<{ id: string } | null> {
    const [row] = await tx.$queryRaw<{ id: string }[]>`
        WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
        UPDATE rollouts r SET state = 'completed', finished_at = clock.now, updated_at = clock.now FROM clock
        WHERE r.id = ${rolloutId} AND r.state = 'adapting'
          AND NOT EXISTS (
            SELECT 1 FROM rollout_counts WHERE rollout_id = r.id AND (unfinished > 0 OR baselines_pending > 0))
          AND NOT EXISTS (SELECT 1 FROM late_adapters WHERE rollout_id = r.id)
          AND NOT EXISTS (
            SELECT 1 FROM provisional_requests p JOIN jobs j ON j.id = p.job_id WHERE p.rollout_id = r.id
              AND ${WANTS_PROVISIONAL})
        RETURNING r.id`;
    return row ?? null;
  },
};
