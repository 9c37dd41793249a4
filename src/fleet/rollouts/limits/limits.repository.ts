import type { Queryable, Transaction } from '../../../platform/database/database.ts';

/**
 * Use of a rollout's budget: `used` is the device time in seconds since the rollout began, or since its budget was last
 * granted anew.
 */
export interface BudgetUse {
  readonly used: number;
  /** Whether the rollout has unfinished jobs, which would use more device time. */
  readonly goes_on: boolean;
}

/** Queries on the deadline of a rollout and on its budget of device time. */
export const limitsRepository = {
  /**
   * Marks a rollout that has not ended as having missed its deadline, if the deadline has passed and not all
   * adaptations had ended by then: the rollout has not planned all its jobs yet, an adaptation is unfinished, or one
   * ended after the deadline. The rollout's row must be locked.
   * @returns the deadline and the number of unfinished adaptations; null if nothing was marked now
   */
  async noteMissedDeadline(tx: Transaction, id: string): Promise<{ deadline: Date; unfinished: number } | null> {
    const [row] = await tx.$queryRaw<{ deadline: Date; unfinished: number }[]>`
      WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
      UPDATE rollouts r SET deadline_missed_at = clock.now, updated_at = clock.now
      FROM clock, LATERAL (
        SELECT COALESCE(sum(c.unfinished), 0)::int AS unfinished FROM rollout_counts c
        WHERE c.rollout_id = ${id} AND c.kind = 'adaptation') AS counted
      WHERE r.id = ${id} AND r.deadline <= clock.now AND r.deadline_missed_at IS NULL
        AND r.state IN ('planning', 'analyzing', 'adapting', 'paused')
        AND (r.planned_at IS NULL OR counted.unfinished > 0 OR EXISTS (
          SELECT 1 FROM jobs j WHERE j.rollout_id = r.id AND j.kind = 'adaptation' AND j.finished_at > r.deadline))
      RETURNING r.deadline, counted.unfinished`;
    return row ?? null;
  },

  /** Finds rollouts that have not ended and whose deadline has passed, but is not marked as missed. */
  overdue: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT id FROM rollouts WHERE state IN ('planning', 'analyzing', 'adapting', 'paused')
        AND deadline <= statement_timestamp() AND deadline_missed_at IS NULL ORDER BY id`,

  async budgetUse(tx: Transaction, id: string): Promise<BudgetUse> {
    const [row] = await tx.$queryRaw<BudgetUse[]>`
      SELECT COALESCE(u.seconds, 0) - r.budget_from AS used,
        EXISTS (SELECT 1 FROM rollout_counts c WHERE c.rollout_id = r.id AND c.unfinished > 0) AS goes_on
      FROM rollouts r LEFT JOIN rollout_device_uses u ON u.rollout_id = r.id WHERE r.id = ${id}`;
    return row ?? { used: 0, goes_on: false };
  },
};
