import { Prisma, type Database } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { FIRST_RUNNING } from '../../delivery/events/index.ts';

/** Pending webhook events, as the database has them. Ages are in seconds; 0 if nothing waits. */
export interface WebhookState {
  enabled: number;
  /** Number of endpoints that were disabled because they failed or were gone, and not by a request. */
  disabled: number;
  /** Age of the oldest event that an endpoint has not acknowledged. */
  oldest_age: number;
  /** Longest time for which a due endpoint has waited for a process to send to it. */
  overdue: number;
}

/** Largest number of pending deliveries examined per endpoint, oldest first. */
const MOST_PENDING = 100;

const AFTER = Prisma.sql`(ev.transaction_id, ev.seq) > (e.position_transaction_id, e.position_seq)
  AND ev.transaction_id < ${FIRST_RUNNING}`;
const FIRST = Prisma.sql`ORDER BY ev.transaction_id, ev.seq LIMIT 1`;
/**
 * SQL expression for the time of the next event after an endpoint's position. Two queries, because each has its own
 * index.
 */
const NEXT_EVENT_AT = Prisma.sql`CASE WHEN e.tenant_id IS NULL
  THEN (SELECT ev.occurred_at FROM events ev WHERE NOT ev.is_copy AND ${AFTER} ${FIRST})
  ELSE (SELECT ev.occurred_at FROM events ev WHERE ev.tenant_id = e.tenant_id AND ${AFTER} ${FIRST}) END`;

/** Reads the state in one statement, in time proportional to the number of endpoints. */
export async function readWebhookState(db: Database): Promise<WebhookState> {
  const age = (since: Prisma.Sql): Prisma.Sql =>
    Prisma.sql`coalesce(greatest(0, extract(epoch FROM statement_timestamp() - min(${since}))), 0)::float8`;
  const [row] = await readRows<WebhookState>(
    db,
    Prisma.sql`
      SELECT count(*) FILTER (WHERE e.enabled)::int AS enabled,
        count(*) FILTER (WHERE NOT e.enabled AND e.disabled_reason <> 'requested')::int AS disabled,
        ${age(Prisma.sql`LEAST(next_event.at, retry.since)`)} AS oldest_age,
        ${age(Prisma.sql`CASE
          WHEN e.lease_expires_at >= statement_timestamp() OR LEAST(next_event.at, retry.due_at) IS NULL THEN NULL
          ELSE GREATEST(e.next_turn_at, LEAST(next_event.at, retry.due_at)) END`)} AS overdue
      FROM webhook_endpoints e LEFT JOIN tenants t ON t.id = e.tenant_id
      LEFT JOIN LATERAL (SELECT ${NEXT_EVENT_AT} AS at) AS next_event ON e.enabled
      LEFT JOIN LATERAL (
        SELECT min(COALESCE(first_attempt_at, next_attempt_at)) AS since, min(next_attempt_at) AS due_at FROM (
          SELECT d.first_attempt_at, d.next_attempt_at FROM webhook_deliveries d
          WHERE d.endpoint_id = e.id AND d.state = 'pending' ORDER BY d.id LIMIT ${MOST_PENDING}
        ) AS oldest
      ) AS retry ON e.enabled
      WHERE t.deleted_at IS NULL`,
  );
  return row as WebhookState;
}
