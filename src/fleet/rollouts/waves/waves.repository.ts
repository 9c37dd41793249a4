import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import type { WaveFigures } from './pause-if.ts';
import type { RolloutPolicy } from '../policy.schemas.ts';

/** Row of a rollout with a policy, after its adapters were assigned to waves. */
export interface WavedRollout {
  readonly state: 'analyzing' | 'adapting';
  /** Number of the last released wave, 0 before the first; `waves` is how many waves the rollout has in all. */
  readonly wave: number;
  readonly waves: number;
  readonly awaiting_approval: boolean;
  readonly waived_wave: number;
  readonly policy: RolloutPolicy;
}

/**
 * SQL condition that all adaptations in the released waves of the rollout `r` have ended, by its counts. Jobs that were
 * paused on their own do not count; otherwise one tenant could hold up all others. The condition is false while
 * provisional versions are made, and while jobs are still being paused, resumed or released. It is also false while a
 * newer rollout takes adapters: if the next wave were released, the newer rollout would have to end its jobs.
 */
const ENDED = Prisma.sql`(NOT r.jobs_follow AND NOT EXISTS (
  SELECT 1 FROM rollouts newer WHERE newer.id = r.superseded_by_id AND newer.planned_at IS NULL
    AND newer.finished_at IS NULL
) AND NOT EXISTS (SELECT 1 FROM provisional_requests p WHERE p.rollout_id = r.id) AND COALESCE((
  SELECT sum(c.unfinished) FROM rollout_counts c
  WHERE c.rollout_id = r.id AND c.kind = 'adaptation' AND c.state <> 'held'), 0) + (
  SELECT count(*) FROM job_waits w JOIN jobs j ON j.id = w.job_id
  WHERE w.rollout_id = r.id AND j.state = 'held' AND j.wave <= r.wave AND j.kind = 'adaptation') <= (
  SELECT count(*) FROM jobs j
  WHERE j.rollout_id = r.id AND j.state = 'paused' AND j.paused_by = 'job' AND j.kind = 'adaptation'))`;

export const wavesRepository = {
  /**
   * Pauses a rollout that is neither paused nor ended. An analysis that this interrupts does not count as an attempt.
   * Returns whether the rollout was paused.
   */
  async pauseRollout(tx: Transaction, id: string, reason: Prisma.InputJsonObject): Promise<boolean> {
    const count = await tx.$executeRaw`
      WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
      UPDATE rollouts r SET state = 'paused', paused_at = clock.now, paused_reason = ${JSON.stringify(reason)}::jsonb,
        jobs_follow = TRUE, updated_at = clock.now,
        excused_attempts = r.excused_attempts + CASE WHEN r.state = 'analyzing' THEN 1 ELSE 0 END
      FROM clock WHERE r.id = ${id} AND r.state IN ('planning', 'analyzing', 'adapting')`;
    return count === 1;
  },

  /**
   * Reads a rollout that is analyzing or adapting and whose adapters are assigned to waves; null for any other rollout.
   * A rollout without a policy has no waves.
   */
  async find(tx: Transaction, id: string): Promise<WavedRollout | null> {
    const [row] = await tx.$queryRaw<WavedRollout[]>`
      SELECT state::text AS state, wave, cardinality(wave_limits) + 1 AS waves, awaiting_approval, waived_wave,
        options -> 'policy' AS policy
      FROM rollouts WHERE id = ${id} AND wave_limits IS NOT NULL AND state IN ('analyzing', 'adapting')`;
    return row ?? null;
  },

  /**
   * Whether the released waves of a rollout have ended, that is, all of their adaptations except those that were paused
   * one by one. False while a newer rollout takes adapters, while provisional versions are made, and while jobs are
   * still being paused, resumed or released.
   */
  async hasEnded(tx: Transaction, id: string): Promise<boolean> {
    const [row] = await tx.$queryRaw<{ ended: boolean }[]>`
      SELECT ${ENDED} AS ended FROM rollouts r WHERE r.id = ${id}`;
    return row?.ended ?? false;
  },

  /** Reads the figures of a wave so far, which database triggers keep up to date. */
  async figures(tx: Transaction, id: string, wave: number): Promise<WaveFigures> {
    const [row] = await tx.$queryRaw<WaveFigures[]>`
      SELECT ended, unready, (metric_drop_sum / NULLIF(metric_drops, 0))::float8 AS metric_drop,
        (negative_flips_sum / NULLIF(negative_flips, 0))::float8 AS negative_flips
      FROM wave_figures WHERE rollout_id = ${id} AND wave = ${wave}`;
    return row ?? { ended: 0, unready: 0, metric_drop: null, negative_flips: null };
  },

  /** Releases the next wave of a rollout. The jobs of the wave enter the queue in later transactions. */
  release: (tx: Transaction, id: string) =>
    tx.$executeRaw`
      UPDATE rollouts SET wave = wave + 1, awaiting_approval = FALSE, jobs_follow = TRUE, updated_at = clock_timestamp()
      WHERE id = ${id}`,

  awaitApproval: (tx: Transaction, id: string) =>
    tx.$executeRaw`UPDATE rollouts SET awaiting_approval = TRUE, updated_at = clock_timestamp() WHERE id = ${id}`,

  /**
   * Finds rollouts whose released waves have ended and whose next wave is neither released nor waiting for an approval.
   */
  stalled: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM rollouts r WHERE r.state = 'adapting' AND r.wave <= cardinality(r.wave_limits)
        AND NOT r.awaiting_approval AND ${ENDED}`,
};
