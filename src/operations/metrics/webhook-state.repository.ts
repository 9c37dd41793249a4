import { Prisma, type Database } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { FIRST_RUNNING } from '../../delivery/events/index.ts';

/** State of the webhooks, read from the database for metrics. Ages are in seconds; 0 if nothing waits. */
export interface WebhookState {
  enabled: number;
  /**
   * Number of endpoints that the service has disabled because they failed or were gone. Those that somebody has
   * disabled by a request are not counted.
   */
  disabled: number;
  /** Age of the oldest event that an enabled endpoint has not acknowledged, in seconds. */
  oldest_age: number;
  /**
   * Longest time by which sending an event to an endpoint is overdue, in seconds. Endpoints to which a process is
   * sending at present do not count.
   */
  overdue: number;
}

/** Largest number of pending deliveries that are examined for each endpoint, oldest first. */
const MOST_PENDING = 100;

const AFTER = Prisma.sql`(ev.transaction_id, ev.seq) > (e.position_transaction_id, e.position_seq)
  AND ev.transaction_id < ${FIRST_RUNNING}`;
const FIRST = Prisma.sql`ORDER BY ev.transaction_id, ev.seq LIMIT 1`;
/**
 * SQL expression for the time of the first event that has not been sent to an endpoint yet. Endpoints of the operator
 * and those of tenants have separate queries, because each query has its own index.
 */
const NEXT_EVENT_AT = Prisma.sql`CASE WHEN e.tenant_id IS NULL
  THEN (SELECT ev.occurred_at FROM events ev WHERE NOT ev.is_copy AND ${AFTER} ${FIRST})
  ELSE (SELECT ev.occurred_at FROM events ev WHERE ev.tenant_id = e.tenant_id AND ${AFTER} ${FIRST}) END`;

/**
 * Reads the state of the webhooks in one statement. The statement's running time grows with the number of endpoints,
 * but not with the number of events.
 */
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
