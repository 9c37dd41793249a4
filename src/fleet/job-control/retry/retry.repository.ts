import { JobOptions, type GivenJobOptions } from '../../../../core/options/job-options.ts';
import { Prisma, type Transaction } from '../../../platform/database/database.ts';
import { heldBack, IS_LIMITED, startTagsOf } from '../../rollouts/index.ts';
import { ACCRUE_AS_HELD, CLOCK, RETURNED, type ChangedJob, type OwnOptions } from '../../jobs/index.ts';

const HELD_BACK = heldBack(Prisma.sql`j`);

/** SQL that selects, among the jobs `old` that are retried, the adaptations, which need a start tag for the queue. */
const RETRIED = Prisma.sql`SELECT o.id, o.tenant_id, o.id AS place FROM old o WHERE o.kind = 'adaptation'`;

/**
 * Options of a retried job in the form in which its row stores them. The strategy is stored even if it equals that of
 * the rollout.
 */
export interface KeptOptions {
  readonly options: OwnOptions | null;
  readonly strategy: string;
}

/** Jobs of one rollout to be retried. */
interface RetriedJobs {
  readonly ids: readonly string[];
  readonly rolloutId: string;
  /** Options that replace the jobs' own; null if the jobs keep theirs. */
  readonly kept: KeptOptions | null;
}

/** Facts about a job that decide whether it may be retried. */
export interface Obstacles {
  readonly id: string;
  readonly source_gone: boolean;
  readonly carried_over: boolean;
  readonly newer_rollout: string | null;
  readonly pinned: boolean;
  readonly kind: string;
  /** Whether the job has ended without a publication. Only then may it be retried. */
  readonly has_ended: boolean;
}

/** SQL condition that the job `j` has ended without a publication. */
const RETRYABLE = Prisma.sql`(j.state IN ('not_ready', 'failed', 'cancelled') AND j.finished_at IS NOT NULL)`;

/** Queries that restart jobs which have ended without a publication. */
export const retryRepository = {
  /**
   * Reads for each job whether something prevents a retry. `source_gone`: its adapter or source version is deleted.
   * `carried_over`: the source version has been carried over to the same base meanwhile. `pinned`: the adapter is
   * pinned to another base. `newer_rollout`: a later rollout that carries the adapter over to a newer base, or has done
   * so; null if there is none.
   */
  obstacles: (tx: Transaction, jobIds: readonly string[]) =>
    tx.$queryRaw<Obstacles[]>`
      SELECT j.id, (a.deleted_at IS NOT NULL OR s.id IS NULL OR s.deleted_at IS NOT NULL) AS source_gone,
        j.kind = 'adaptation' AND EXISTS (
          SELECT 1 FROM adapter_versions v WHERE v.adapter_id = j.adapter_id
            AND v.parent_version_id = j.source_version_id
            AND v.base_model_version_id = r.base_model_version_id AND v.deleted_at IS NULL
            AND NOT v.provisional) AS carried_over,
        (SELECT n.id FROM jobs o JOIN rollouts n ON n.id = o.rollout_id
          WHERE o.adapter_id = j.adapter_id AND o.kind = 'adaptation' AND (o.finished_at IS NULL OR o.state = 'ready')
            AND n.base_model_version_id > r.base_model_version_id AND n.accepted_at > r.accepted_at
          ORDER BY n.id DESC LIMIT 1) AS newer_rollout,
        COALESCE(a.pinned_base_model_version_id <> r.base_model_version_id, FALSE) AS pinned,
        j.kind::text AS kind, ${RETRYABLE} AS has_ended
      FROM jobs j JOIN rollouts r ON r.id = j.rollout_id JOIN adapters a ON a.id = j.adapter_id
      LEFT JOIN adapter_versions s ON s.id = j.source_version_id
      WHERE j.id = ANY(${[...jobIds]}::text[])`,

  /** Reads those options of a rollout that apply to each of its jobs. */
  async jobOptions(tx: Transaction, rolloutId: string): Promise<GivenJobOptions> {
    const row = await tx.rollout.findUnique({ where: { id: rolloutId }, select: { options: true } });
    const given = Object.entries(row?.options ?? {}).filter(([name]) => name in JobOptions.properties);
    return Object.fromEntries(given);
  },

  /**
   * Makes each of the adaptations wait for an unfinished adaptation of the same adapter to an older base model version,
   * if there is one.
   */
  waitForOlder: (tx: Transaction, ids: readonly string[]) =>
    tx.$executeRaw`
      INSERT INTO job_waits (job_id, tenant_id, rollout_id, waits_for_job_id)
      SELECT DISTINCT ON (j.id) j.id, j.tenant_id, j.rollout_id, o.id FROM jobs j JOIN rollouts r ON r.id = j.rollout_id
      JOIN jobs o ON o.adapter_id = j.adapter_id AND o.kind = 'adaptation' AND o.finished_at IS NULL
      JOIN rollouts older ON older.id = o.rollout_id AND older.base_model_version_id < r.base_model_version_id
      WHERE j.id = ANY(${[...ids]}::text[]) AND j.kind = 'adaptation' ORDER BY j.id, older.base_model_version_id DESC,
        o.id DESC
      ON CONFLICT (job_id) DO UPDATE SET waits_for_job_id = EXCLUDED.waits_for_job_id`,

  /**
   * Queues jobs that have ended without a publication as if they had never begun, except that their attempt numbers and
   * clocks go on. Jobs in other states are left as they are.
   */
  async retry(tx: Transaction, { ids, rolloutId, kept }: RetriedJobs): Promise<ChangedJob[]> {
    const own = kept === null || kept.options === null ? null : JSON.stringify(kept.options);
    const jobs = await tx.$queryRaw<ChangedJob[]>`
      ${CLOCK},
      old AS MATERIALIZED (
        SELECT id, tenant_id, kind, state, wave FROM jobs WHERE id = ANY(${[...ids]}::text[]) ORDER BY id
          FOR NO KEY UPDATE),
      ${startTagsOf(rolloutId, RETRIED)}
      UPDATE jobs j SET ${ACCRUE_AS_HELD},
        state = CASE WHEN ${HELD_BACK} THEN 'held' ELSE 'queued' END::job_state,
        phase = CASE WHEN ${HELD_BACK} THEN 'held' ELSE 'queue_wait' END::job_phase, start_tag = tags.tag,
        admission = CASE WHEN ${IS_LIMITED} AND NOT ${HELD_BACK} THEN 'waiting' END,
        finished_at = NULL, excused_attempts = j.attempt, retried_after = j.attempt, error = NULL,
        won_strategy = NULL, fusion_alpha = NULL, fusion_beta = NULL, metric_best = NULL, certificate = NULL,
          precision = NULL,
        baselines_pending = FALSE, step = 0, total_steps = 0,
        own_options = CASE WHEN ${kept !== null} THEN ${own}::jsonb ELSE j.own_options END,
        strategy = CASE WHEN ${kept !== null} AND j.kind = 'adaptation' THEN ${kept?.strategy ?? null}
          ELSE j.strategy END,
        warnings = '{}', updated_at = clock.now
      FROM clock, rollouts r, old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id AND r.id = j.rollout_id AND ${RETRYABLE}
      RETURNING ${RETURNED}`;
    // Removes the curves and the search of the discarded run; the new run measures its own.
    const anew = jobs.map(({ id }) => id);
    await tx.$executeRaw`DELETE FROM metric_points WHERE job_id = ANY(${anew}::text[])`;
    await tx.$executeRaw`DELETE FROM search_evaluations WHERE job_id = ANY(${anew}::text[])`;
    return jobs;
  },

  /** Reopens a rollout that was completed. Returns false, and changes nothing, if the rollout is not completed. */
  async reopenRollout(tx: Transaction, rolloutId: string): Promise<boolean> {
    const count = await tx.$executeRaw`
      UPDATE rollouts SET state = 'adapting', finished_at = NULL, updated_at = clock_timestamp()
      WHERE id = ${rolloutId} AND state = 'completed'`;
    return count === 1;
  },

  /**
   * Finds another unfinished rollout to the same base model version. Locks that version, so that no such rollout is
   * created until the transaction ends.
   */
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
