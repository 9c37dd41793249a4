import { Prisma, type Transaction } from '../../../lib/database.ts';
import { ACCRUE_AS_HELD, CLOCK } from '../job-clock.ts';
import { RETURNED, type ChangedJob } from '../job-lifecycle.repository.ts';
import { IS_LIMITED, startTagsOf } from '../order/start-tags.ts';

/** The job `old`, which will be queued if its wave is not held. */
const RETRIED = Prisma.sql`SELECT o.id, o.tenant_id, o.id AS place FROM old o WHERE o.kind = 'adaptation'`;

/** The queries by which a job that has ended begins anew. */
export const retryRepository = {
  /** Whether its source is gone, and whether something was carried over from it to the same base meanwhile. */
  async obstacles(tx: Transaction, jobId: string): Promise<{ sourceGone: boolean; carriedOver: boolean }> {
    const [row] = await tx.$queryRaw<{ source_gone: boolean; carried_over: boolean }[]>`
      SELECT (a.deleted_at IS NOT NULL OR s.id IS NULL OR s.deleted_at IS NOT NULL) AS source_gone,
        j.kind = 'adaptation' AND EXISTS (
          SELECT 1 FROM adapter_versions v WHERE v.adapter_id = j.adapter_id AND v.parent_version_id = j.source_version_id
            AND v.base_model_version_id = r.base_model_version_id AND v.deleted_at IS NULL) AS carried_over
      FROM jobs j JOIN rollouts r ON r.id = j.rollout_id JOIN adapters a ON a.id = j.adapter_id
      LEFT JOIN adapter_versions s ON s.id = j.source_version_id
      WHERE j.id = ${jobId}`;
    return { sourceGone: row?.source_gone ?? true, carriedOver: row?.carried_over ?? false };
  },

  /**
   * Puts a job that has ended without a publication back into the queue, as if it had never begun, except that its attempts are
   * numbered on, its time goes on, and the searches that it was given at its first start stay the same. Null if its state does not
   * allow that.
   */
  async retry(tx: Transaction, { id, rolloutId }: { id: string; rolloutId: string }): Promise<ChangedJob | null> {
    const [job] = await tx.$queryRaw<ChangedJob[]>`
      ${CLOCK},
      old AS MATERIALIZED (SELECT id, tenant_id, kind, state, wave FROM jobs WHERE id = ${id} FOR NO KEY UPDATE),
      ${startTagsOf(rolloutId, RETRIED)}
      UPDATE jobs j SET ${ACCRUE_AS_HELD},
        state = CASE WHEN j.wave > r.wave THEN 'held' ELSE 'queued' END::job_state,
        phase = CASE WHEN j.wave > r.wave THEN 'held' ELSE 'queue_wait' END::job_phase, start_tag = tags.tag,
        admission = CASE WHEN ${IS_LIMITED} AND COALESCE(j.wave <= r.wave, TRUE) THEN 'waiting' END,
        finished_at = NULL, excused_attempts = j.attempt, retried_after = j.attempt, error = NULL,
        won_strategy = NULL, fusion_alpha = NULL, fusion_beta = NULL, metric_best = NULL, certificate = NULL, precision = NULL,
        baselines_pending = FALSE, step = 0, total_steps = 0, warnings = '{}', updated_at = clock.now
      FROM clock, rollouts r, old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id AND r.id = j.rollout_id AND j.state IN ('not_ready', 'failed', 'cancelled') AND j.finished_at IS NOT NULL
      RETURNING ${RETURNED}`;
    if (job === undefined) return null;
    // The curves of a run that counts no more are measured anew. Searches stay, because other jobs may have begun with them.
    await tx.$executeRaw`DELETE FROM metric_points WHERE job_id = ${id}`;
    return job;
  },

  /** Opens a completed rollout again. False if it is not completed. */
  async reopenRollout(tx: Transaction, rolloutId: string): Promise<boolean> {
    const count = await tx.$executeRaw`
      UPDATE rollouts SET state = 'adapting', finished_at = NULL, updated_at = clock_timestamp()
      WHERE id = ${rolloutId} AND state = 'completed'`;
    return count === 1;
  },

  /** Another rollout to the same base model version that has not ended; its creation waits until this transaction ends. */
  async otherRollout(tx: Transaction, rolloutId: string): Promise<string | null> {
    const [row] = await tx.$queryRaw<{ id: string | null }[]>`
      WITH target AS MATERIALIZED (
        SELECT v.id FROM base_model_versions v JOIN rollouts r ON r.base_model_version_id = v.id
        WHERE r.id = ${rolloutId} FOR NO KEY UPDATE OF v)
      SELECT (SELECT r.id FROM rollouts r WHERE r.base_model_version_id = target.id AND r.id <> ${rolloutId}
        AND r.finished_at IS NULL LIMIT 1) AS id FROM target`;
    return row?.id ?? null;
  },
};
