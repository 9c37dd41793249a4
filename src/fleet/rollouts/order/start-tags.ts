import { Prisma } from '../../../platform/database/database.ts';
import { PRIORITIES, TAGS } from '../../../platform/queue/priorities.ts';

/** SQL condition that the job `j` is in the queue, or about to enter it. An index has the same condition. */
export const QUEUED = Prisma.sql`j.state = 'queued' AND j.admission IS DISTINCT FROM 'waiting'`;

/** SQL condition that the job `j` of a rollout of limited concurrency waits to be admitted to the queue. */
export const WAITING = Prisma.sql`(j.admission = 'waiting' AND j.finished_at IS NULL
  AND j.state IN ('queued', 'ready'))`;

/** SQL for the first start tag that jobs of the rollout `r` can get. Each priority has its own range of tags. */
const FIRST_TAG = Prisma.sql`array_position(${[...PRIORITIES]}::text[],
  COALESCE(r.options #>> '{policy,priority}', 'normal')) * ${TAGS}::float8 - ${TAGS}::float8`;

/** SQL condition that the policy of the rollout `r` limits its concurrency. */
export const IS_LIMITED = Prisma.sql`(r.options #> '{policy,concurrency}' IS NOT NULL)`;

/**
 * Makes the common table expressions that compute start tags for jobs of a rollout. The first is `range (first)`, the
 * first tag of the rollout's priority, and the last is `tags (id, tag)`.
 *
 * This is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over tenants, in which each job costs 1. A
 * job's start tag is the virtual time, or 1 / weight after the tag of the tenant's last waiting job if that is later.
 * The virtual time is the largest tag of the running jobs and at least the smallest tag of the waiting ones. If no job
 * runs or waits, it begins anew.
 *
 * In a rollout of limited concurrency, the new jobs are first ordered among the jobs of that rollout. When they are
 * admitted to the queue, they get another tag.
 * @param entering a query of `id`, `tenant_id` and `place`; jobs of one tenant are put in the order of `place`
 * @param entry `admitted` if the jobs are being admitted to the queue, `new` if they were just planned or resumed
 */
export function startTagsOf(rolloutId: string, entering: Prisma.Sql, entry: 'new' | 'admitted' = 'new'): Prisma.Sql {
  const limited = entry === 'admitted' ? Prisma.sql`FALSE` : IS_LIMITED;
  const among = Prisma.sql`j.start_tag >= range.first AND j.start_tag < range.first + ${TAGS}::float8`;
  return Prisma.sql`
    range AS MATERIALIZED (
      SELECT ${FIRST_TAG} AS first, ${limited} AS limited FROM rollouts r WHERE r.id = ${rolloutId}),
    entering AS MATERIALIZED (
      SELECT e.id, e.tenant_id, row_number() OVER (PARTITION BY e.tenant_id ORDER BY e.place) - 1 AS nth
      FROM (${entering}) AS e),
    waiting AS MATERIALIZED (
      SELECT j.tenant_id, min(j.start_tag) AS first, max(j.start_tag) AS last FROM jobs j, range
      WHERE range.limited AND j.rollout_id = ${rolloutId} AND ${WAITING} GROUP BY j.tenant_id),
    virtual AS MATERIALIZED (
      SELECT CASE WHEN range.limited THEN GREATEST(range.first, (SELECT min(first) FROM waiting))
        ELSE GREATEST(
          range.first,
          (SELECT j.start_tag FROM jobs j WHERE ${QUEUED} AND ${among} ORDER BY j.start_tag LIMIT 1),
          (SELECT max(j.start_tag) FROM jobs j
            WHERE j.lease_expires_at > '-infinity' AND j.lease_owner IS NOT NULL AND ${among})
        ) END AS now
      FROM range),
    shares AS MATERIALIZED (
      SELECT t.id AS tenant_id, share.step, GREATEST(virtual.now, last.tag + share.step) AS first
      FROM (SELECT DISTINCT tenant_id FROM entering) AS e JOIN tenants t ON t.id = e.tenant_id
      CROSS JOIN range CROSS JOIN virtual
      CROSS JOIN LATERAL (SELECT 1 / COALESCE((t.quotas ->> 'weight')::float8, 1) AS step) AS share
      LEFT JOIN LATERAL (
        SELECT w.last AS tag FROM waiting w WHERE range.limited AND w.tenant_id = t.id
        UNION ALL
        -- Written so that PostgreSQL uses the index with the tenant even before it has statistics. Otherwise it may
        -- scan the index of all jobs by their tags once for each tenant.
        (SELECT j.start_tag FROM jobs j
          WHERE NOT range.limited AND j.tenant_id BETWEEN t.id AND t.id AND ${QUEUED}
            AND j.start_tag + 0 >= range.first AND j.start_tag + 0 < range.first + ${TAGS}::float8
          ORDER BY j.tenant_id DESC, j.start_tag DESC LIMIT 1)
      ) AS last ON TRUE),
    tags AS MATERIALIZED (
      SELECT e.id, LEAST(s.first + e.nth * s.step, range.first + ${TAGS - 1}::float8) AS tag
      FROM entering e JOIN shares s ON s.tenant_id = e.tenant_id CROSS JOIN range)`;
}
