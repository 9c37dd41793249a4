import type { Queryable, Transaction } from '../../../platform/database/database.ts';
import type { LIVE_ROLLOUT_STATES, RolloutState } from '../rollout.states.ts';

/** Row of a rollout that this transaction has locked, with the columns needed to pause or resume the rollout. */
export interface PausableRollout {
  readonly state: RolloutState;
  /**
   * Whether jobs still have to be paused, resumed or released, because the rollout was paused or resumed or has
   * released a wave.
   */
  readonly jobs_follow: boolean;
  readonly id: string;
  readonly options: unknown;
}

/** State in which a paused rollout goes on when it is resumed. */
type ResumedState = Exclude<(typeof LIVE_ROLLOUT_STATES)[number], 'paused'>;

export const pausingRepository = {
  async lock(tx: Transaction, id: string): Promise<PausableRollout | null> {
    const [row] = await tx.$queryRaw<PausableRollout[]>`
      SELECT id, state::text AS state, jobs_follow, options FROM rollouts WHERE id = ${id} FOR NO KEY UPDATE`;
    return row ?? null;
  },

  /**
   * Resumes a paused rollout in the state that it was paused in. If not all jobs were planned then, the clocks of jobs
   * planned later will include the pause. If the rollout was paused by a condition of `pause_if`, its present wave is
   * not judged again. If it was paused because its budget was spent, it gets the same budget once more.
   * @returns the new state; null if the rollout was not paused
   */
  async resume(tx: Transaction, id: string): Promise<ResumedState | null> {
    const [row] = await tx.$queryRaw<{ state: ResumedState }[]>`
      WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
      UPDATE rollouts r SET
        state = CASE WHEN r.planned_at IS NOT NULL THEN 'adapting' WHEN r.analysis_started_at IS NOT NULL
          THEN 'analyzing'
          ELSE 'planning' END::rollout_state,
        held_waiting_ms = r.held_waiting_ms + CASE WHEN r.analysis_started_at IS NULL THEN pause.ms ELSE 0 END,
        held_analyzing_ms = r.held_analyzing_ms +
          CASE WHEN r.analysis_started_at IS NOT NULL AND r.planned_at IS NULL THEN pause.ms ELSE 0 END,
        waived_wave = CASE WHEN r.paused_reason ->> 'code' = 'pause_if' THEN r.wave ELSE r.waived_wave END,
        budget_from = CASE WHEN r.paused_reason ->> 'code' = 'budget_spent'
          THEN COALESCE((SELECT u.seconds FROM rollout_device_uses u WHERE u.rollout_id = r.id), 0)
            ELSE r.budget_from END,
        paused_at = NULL, paused_reason = NULL, jobs_follow = TRUE, updated_at = clock.now
      FROM clock, (
        SELECT (EXTRACT(EPOCH FROM clock.now - paused_at) * 1000)::float8 AS ms FROM rollouts, clock WHERE id = ${id}
      ) AS pause
      WHERE r.id = ${id} AND r.state = 'paused'
      RETURNING r.state::text AS state`;
    return row?.state ?? null;
  },

  /** Marks that no job is left to be paused, resumed or released after a change of the rollout. */
  endFollowing: (tx: Transaction, id: string) =>
    tx.$executeRaw`UPDATE rollouts SET jobs_follow = FALSE, updated_at = clock_timestamp() WHERE id = ${id}`,

  /**
   * Finds unfinished rollouts with jobs that still have to be paused, resumed or released, because the rollout was
   * paused or resumed or has released a wave.
   */
  followed: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT id FROM rollouts WHERE state IN ('planning', 'analyzing', 'adapting', 'paused') AND jobs_follow
        ORDER BY id`,
};
