import type { Queryable } from '../../platform/database/database.ts';

/**
 * Examines the next `limit` metric points after the position `after`, oldest first, and deletes those of jobs that
 * ended more than `days` days ago.
 * @returns the number of deleted points and the position at which to go on; the position is null if no later point is
 * old enough
 */
export async function pruneMetricPoints(
  tx: Queryable,
  { days, after, limit }: { days: number; after: bigint; limit: number },
): Promise<{ removed: number; next: bigint | null }> {
  const [row] = await tx.$queryRaw<{ removed: number; old: number; last: bigint | null }[]>`
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() - make_interval(days => ${days}::int) AS limit_at),
    oldest AS (
      SELECT id, job_id, recorded_at FROM metric_points WHERE id > ${after} ORDER BY id LIMIT ${limit}
    ), gone AS (
      DELETE FROM metric_points p USING oldest o, jobs j, clock
      WHERE p.id = o.id AND j.id = o.job_id AND j.finished_at < clock.limit_at
      RETURNING p.id
    )
    SELECT (SELECT count(*)::int FROM gone) AS removed, max(id) AS last,
      (count(*) FILTER (WHERE recorded_at < clock.limit_at))::int AS old
    FROM oldest, clock`;
  const more = row !== undefined && row.old === limit;
  return { removed: row?.removed ?? 0, next: more ? row.last : null };
}

/**
 * Deletes at most `limit` device uses that ended more than `days` days ago.
 * @returns the number of deleted uses
 */
export const pruneDeviceUses = (tx: Queryable, { days, limit }: { days: number; limit: number }): Promise<number> =>
  tx.$executeRaw`
    DELETE FROM device_uses WHERE id = ANY(ARRAY(
      SELECT id FROM device_uses WHERE ended_at < clock_timestamp() - make_interval(days => ${days}::int)
      ORDER BY ended_at LIMIT ${limit}))`;

/**
 * Deletes webhook deliveries that are no longer pending and were last attempted more than `days` days ago, at most
 * `limit` of them. Also deletes all expired webhook secrets.
 * @returns the number of deleted deliveries
 */
export async function pruneWebhookDeliveries(
  tx: Queryable,
  { days, limit }: { days: number; limit: number },
): Promise<number> {
  await tx.$executeRaw`DELETE FROM webhook_secrets WHERE expires_at < clock_timestamp()`;
  return tx.$executeRaw`
    DELETE FROM webhook_deliveries WHERE id = ANY(ARRAY(
      SELECT id FROM webhook_deliveries
      WHERE last_attempt_at < clock_timestamp() - make_interval(days => ${days}::int) AND state <> 'pending'
      ORDER BY last_attempt_at LIMIT ${limit}))`;
}
