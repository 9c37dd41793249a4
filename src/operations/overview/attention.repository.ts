import { Prisma, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import { FAILED_WITHIN_DAYS, MOST_OF_A_KIND, RETIRES_WITHIN_DAYS, type AttentionKind } from './attention.schemas.ts';

export interface AttentionRow {
  readonly kind: AttentionKind;
  readonly subject_id: string;
  readonly name: string;
  readonly tenant_id: string | null;
  readonly since: Date | null;
  readonly count: number | null;
  readonly reason: string | null;
  /** Number of all entries of this kind, including those that the list leaves out because it is full. */
  readonly of_kind: number;
}

const NAME = Prisma.sql`m.name || ' ' || v.version`;
const OF_ROLLOUT = Prisma.sql`
  JOIN base_model_versions v ON v.id = r.base_model_version_id JOIN base_models m ON m.id = v.base_model_id`;
const GOES_ON = Prisma.sql`r.state IN ('planning', 'analyzing', 'adapting', 'paused')`;
const FOUND = Prisma.sql`count(*) OVER ()::int AS of_kind`;
const FIRST = Prisma.sql`ORDER BY since NULLS LAST, subject_id LIMIT ${MOST_OF_A_KIND}`;

/**
 * Makes the query for one kind of rollout that needs a person's attention. In the SQL condition, the rollout is `r`.
 */
function rollouts(
  kind: AttentionKind,
  since: string,
  condition: Prisma.Sql,
  reason = Prisma.sql`NULL::text`,
): Prisma.Sql {
  return Prisma.sql`
    (SELECT ${kind} AS kind, r.id AS subject_id, ${NAME} AS name, NULL::text AS tenant_id,
      r.${Prisma.raw(since)} AS since,
      NULL::int AS count, ${reason} AS reason, ${FOUND}
    FROM rollouts r ${OF_ROLLOUT} WHERE ${condition} ${FIRST})`;
}

const PAUSE_CODE = Prisma.sql`r.paused_reason ->> 'code'`;

export const attentionRepository = {
  /** Lists rollouts about which the operator should decide something, or which have failed or are late. */
  rollouts: (db: Queryable) =>
    readRows<AttentionRow>(
      db,
      Prisma.join(
        [
          rollouts('wave_awaits_approval', 'updated_at', Prisma.sql`${GOES_ON} AND r.awaiting_approval`),
          rollouts(
            'rollout_paused_itself',
            'paused_at',
            Prisma.sql`r.state = 'paused' AND ${PAUSE_CODE} <> 'requested'`,
            PAUSE_CODE,
          ),
          rollouts(
            'rollout_failed',
            'finished_at',
            Prisma.sql`r.state = 'failed' AND r.finished_at > now() - make_interval(days => ${FAILED_WITHIN_DAYS})`,
            Prisma.sql`r.error ->> 'code'`,
          ),
          rollouts(
            'deadline_missed',
            'deadline_missed_at',
            Prisma.sql`${GOES_ON} AND r.deadline_missed_at IS NOT NULL`,
          ),
        ],
        ' UNION ALL ',
      ),
    ),

  /**
   * Lists rollouts with jobs that wait for their tenants' approval, for one tenant or for all. The query runs without
   * row-level security, which would keep it from using an index on the state. That is safe: it returns only counts and
   * times of jobs, and its own condition confines them to the tenant.
   */
  approvals: (db: Queryable, tenantId: string | null) =>
    readRows<AttentionRow>(
      unconfined(db),
      Prisma.sql`
        SELECT 'jobs_await_approval' AS kind, r.id AS subject_id, ${NAME} AS name, waiting.tenant_id,
          waiting.since, waiting.count,
          NULL::text AS reason, ${FOUND}
        FROM rollouts r ${OF_ROLLOUT} CROSS JOIN LATERAL (
          SELECT j.tenant_id, min(j.created_at) AS since, count(*)::int AS count FROM jobs j
          WHERE j.rollout_id = r.id AND j.state = 'held' AND j.approval = 'awaited'
            ${tenantId === null ? Prisma.empty : Prisma.sql`AND j.tenant_id = ${tenantId}`}
          GROUP BY j.tenant_id
        ) AS waiting
        WHERE ${GOES_ON} ${FIRST}`,
    ),

  workers: (db: Queryable) =>
    readRows<AttentionRow>(
      db,
      Prisma.sql`
        SELECT 'worker_quarantined' AS kind, id AS subject_id, host AS name, NULL::text AS tenant_id, seen_at AS since,
          NULL::int AS count, reason, ${FOUND}
        FROM workers WHERE state = 'quarantined' AND stopped_at IS NULL AND seen_at > now() - interval '30 s' ${FIRST}`,
    ),

  endpoints: (db: Queryable, tenantId: string | null) =>
    readRows<AttentionRow>(
      db,
      Prisma.sql`
        SELECT 'webhook_endpoint_disabled' AS kind, id AS subject_id, COALESCE(description, id) AS name, tenant_id,
          last_success_at AS since, NULL::int AS count, disabled_reason AS reason, ${FOUND}
        FROM webhook_endpoints WHERE disabled_reason IN ('failing', 'gone')
          ${tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`} ${FIRST}`,
    ),

  /** Lists base model versions that have retired or soon will, and on which adapters are still served. */
  retirements: (db: Queryable, tenantId: string | null) =>
    readRows<AttentionRow>(
      db,
      Prisma.sql`
        SELECT 'base_model_version_retires' AS kind, v.id AS subject_id, ${NAME} AS name, NULL::text AS tenant_id,
          v.retires_at AS since, served.count, NULL::text AS reason, ${FOUND}
        FROM base_model_versions v JOIN base_models m ON m.id = v.base_model_id CROSS JOIN LATERAL (
          SELECT count(*)::int AS count FROM current_versions c
          WHERE c.base_model_version_id = v.id AND c.adapter_version_id IS NOT NULL
            ${tenantId === null ? Prisma.empty : Prisma.sql`AND c.tenant_id = ${tenantId}`}
        ) AS served
        WHERE v.retires_at < now() + make_interval(days => ${RETIRES_WITHIN_DAYS}) AND served.count > 0 ${FIRST}`,
    ),
};
