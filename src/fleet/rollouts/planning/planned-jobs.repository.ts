import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import type { JobState, LiveJob } from '../../jobs/index.ts';
import { IS_LIMITED, startTagsOf } from '../order/start-tags.ts';

/** Job to insert. A job with an `error` is inserted as failed, and never enters the queue. */
export interface PlannedJob {
  id: string;
  sourceVersionId: string;
  kind: 'adaptation' | 'control';
  error: Prisma.InputJsonObject | null;
  /**
   * Identifier of the unfinished job that carries the same adapter over to an older base model version. It must end
   * before this job begins.
   */
  waitsFor?: string | undefined;
}

/** Rollout and settings for a batch of jobs to insert. */
export interface Planning {
  readonly rolloutId: string;
  readonly strategy: string;
  /**
   * Whether the jobs are for late adapters, which were imported for an older base model version while the rollout went
   * on.
   */
  readonly late?: boolean;
}

/** Columns of an inserted job, as read back from the database. */
type Planned = Omit<LiveJob, 'ended'> & { state: JobState; admission: 'waiting' | null };

/** SQL that selects, among the jobs `planned`, those that enter the queue and need a start tag. */
const PLANNED_TO_QUEUE = Prisma.sql`
  SELECT p.id, p.tenant_id, p.id AS place FROM planned p WHERE p.state = 'queued' AND p.kind = 'adaptation'`;

export const plannedJobsRepository = {
  /**
   * Inserts jobs of a rollout with one statement. The clock of a job starts at the rollout's acceptance, so it includes
   * the wait until the analysis began, the analysis itself, and pauses during either. A control needs no analysis, so
   * its clock counts the analysis as wait in the queue. The clock of a late job starts with the import of its adapter.
   *
   * In a rollout with a policy, the waves of the adapters must be decided before this call. A job is held if it is in a
   * wave that is not released, waits for another job or needs its tenant's approval; a late job is never put in a wave
   * that is over. All other jobs are queued with start tags, and wait to be admitted if the rollout's concurrency is
   * limited.
   * @returns the inserted jobs; a job that the rollout has already is not among them
   */
  plan: (tx: Queryable, { rolloutId, strategy, late = false }: Planning, jobs: readonly PlannedJob[]) =>
    tx.$queryRaw<Planned[]>`
      WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
      planned AS MATERIALIZED (
        SELECT p.*, v.tenant_id, v.adapter_id, v.created_at AS source_created_at,
          CASE WHEN p.error IS NOT NULL THEN 'failed'
            WHEN p.waits OR placed.wave > r.wave OR asked.approval IS NOT NULL THEN 'held' ELSE 'queued'
            END::job_state AS state, placed.wave, asked.approval
        FROM unnest(
          ${jobs.map((job) => job.id)}::text[], ${jobs.map((job) => job.sourceVersionId)}::text[],
          ${jobs.map((job) => job.kind)}::job_kind[],
          ${jobs.map((job) => (job.error === null ? null : JSON.stringify(job.error)))}::jsonb[],
          ${jobs.map((job) => job.waitsFor !== undefined)}::boolean[]
        ) AS p (id, source_version_id, kind, error, waits)
        JOIN adapter_versions v ON v.id = p.source_version_id
        JOIN adapters a ON a.id = v.adapter_id
        JOIN rollouts r ON r.id = ${rolloutId}
        LEFT JOIN wave_members m ON m.rollout_id = r.id AND m.adapter_id = v.adapter_id
        CROSS JOIN LATERAL (
          SELECT CASE WHEN r.wave_limits IS NULL THEN NULL WHEN p.kind = 'control' THEN cardinality(r.wave_limits) + 1
            ELSE COALESCE(m.wave, 1 + (SELECT count(*)::int FROM unnest(r.wave_limits) AS limits (rank)
                WHERE ${waveRank(rolloutId, Prisma.sql`v.adapter_id`)} > limits.rank COLLATE "C")) END AS wave
        ) AS assigned
        CROSS JOIN LATERAL (
          SELECT CASE WHEN NOT ${late} THEN assigned.wave
            ELSE GREATEST(assigned.wave, r.wave + CASE WHEN r.awaiting_approval THEN 1 ELSE 0 END) END AS wave
        ) AS placed
        CROSS JOIN LATERAL (
          SELECT CASE WHEN p.kind = 'adaptation' AND a.approval = 'tenant' THEN 'awaited' END AS approval
        ) AS asked
      ),
      ${startTagsOf(rolloutId, PLANNED_TO_QUEUE)}
      INSERT INTO jobs (
        id, tenant_id, rollout_id, adapter_id, source_version_id, kind, state, strategy, metric_name, metric_target,
        error, queue_wait_ms, evolution_ms, held_ms, approval, wave, start_tag, admission, phase, phase_since,
        created_at, updated_at, finished_at
      )
      SELECT p.id, p.tenant_id, r.id, p.adapter_id, p.source_version_id, p.kind, p.state,
        CASE p.kind WHEN 'control' THEN 'scratch' ELSE ${strategy} END, a.metric,
        CASE a.gate ->> 'kind' WHEN 'absolute' THEN (a.gate ->> 'target')::float8 END, p.error,
        CASE p.kind WHEN 'control' THEN times.waited + times.analyzed ELSE times.waited END,
        CASE p.kind WHEN 'control' THEN 0 ELSE times.analyzed END, times.held,
        p.approval, p.wave, t.tag, CASE WHEN p.state = 'queued' AND ${IS_LIMITED} THEN 'waiting' END,
        CASE p.state WHEN 'held' THEN 'held' ELSE 'queue_wait' END::job_phase,
        clock.now, clock.now, clock.now, CASE WHEN p.error IS NULL THEN NULL ELSE clock.now END
      FROM planned p
      LEFT JOIN tags t ON t.id = p.id JOIN adapters a ON a.id = p.adapter_id
      JOIN rollouts r ON r.id = ${rolloutId}
      CROSS JOIN clock
      CROSS JOIN LATERAL (
        SELECT (EXTRACT(EPOCH FROM r.analysis_started_at - r.accepted_at) * 1000)::float8 - r.held_waiting_ms AS waited,
               (EXTRACT(EPOCH FROM clock.now - r.analysis_started_at) * 1000)::float8 - r.held_analyzing_ms AS analyzed,
               r.held_waiting_ms + r.held_analyzing_ms AS held WHERE NOT ${late}
        UNION ALL
        SELECT (EXTRACT(EPOCH FROM GREATEST(clock.now - p.source_created_at, '0')) * 1000)::float8, 0, 0 WHERE ${late}
      ) AS times
      -- The tenant may have pinned the adapter since the page was read.
      WHERE NOT COALESCE(a.pinned_base_model_version_id <> r.base_model_version_id, FALSE)
      ON CONFLICT (rollout_id, adapter_id, kind) DO NOTHING
      RETURNING id, kind, state::text AS state, start_tag, admission`,
};

/**
 * Makes the SQL for the rank of an adapter in a rollout, a hash by which the adapters are divided into waves. Texts are
 * compared byte by byte.
 */
export function waveRank(rolloutId: string, adapterId: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`encode(sha256(convert_to(${`${rolloutId}:`} || ${adapterId}, 'UTF8')), 'hex') COLLATE "C"`;
}
