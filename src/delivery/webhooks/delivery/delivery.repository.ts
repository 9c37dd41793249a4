import type { Lease } from '../../../lib/claim-loop.ts';
import {
  Prisma,
  withTransaction,
  type Database,
  type Queryable,
  type Transaction,
} from '../../../platform/database/database.ts';
import { newId } from '../../../platform/contract/ids.ts';
import { FIRST_RUNNING, recordEvent, type CommitPosition, type EventData, type EventRow } from '../../events/index.ts';

/** Endpoint to which this process sends events while it holds the lease on the endpoint. */
export interface ClaimedEndpoint {
  readonly id: string;
  readonly tenantId: string | null;
  readonly url: string;
  readonly eventTypes: readonly string[];
  readonly position: CommitPosition;
  readonly failures: number;
}

/** An attempt to send an event to an endpoint, with its outcome and the times that follow from it. */
export interface Attempt {
  readonly eventId: string;
  readonly eventType: string;
  readonly outcome: string;
  readonly statusCode: number | null;
  readonly latencyMs: number;
  /**
   * Position in the order of events that the endpoint has reached with this event; null if the event was a retry or a
   * replay, which leaves the position as it is.
   */
  readonly position: CommitPosition | null;
  /** Delays before the second, third … attempt, in milliseconds. */
  readonly delaysMs: readonly number[];
  /**
   * Shortest delay before the next attempt that the header `Retry-After` of the endpoint's answer allows, in
   * milliseconds.
   */
  readonly leastDelayMs: number;
  /** Time after the attempt for which nothing is sent to the endpoint, in milliseconds. */
  readonly restMs: number;
}

/** Smallest number of events waiting for a retry with which a failing endpoint gets due retries before new events. */
export const MANY_PENDING = 20;

const NOW = Prisma.sql`(SELECT clock_timestamp())`;
const IS_FREE = Prisma.sql`(e.lease_expires_at IS NULL OR e.lease_expires_at < ${NOW})`;
const AFTER = Prisma.sql`(ev.transaction_id, ev.seq) > (e.position_transaction_id, e.position_seq)
  AND ev.transaction_id < ${FIRST_RUNNING}`;
const HAS_RETRY = Prisma.sql`EXISTS (
  SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.next_attempt_at <= ${NOW})`;
/**
 * SQL condition that there are events after the position of endpoint `e`. The events of the operator and those of a
 * tenant are looked for by separate queries, because each query has an index of its own.
 */
const HAS_EVENT = Prisma.sql`CASE WHEN e.tenant_id IS NULL
  THEN EXISTS (SELECT FROM events ev WHERE NOT ev.is_copy AND ${AFTER})
  ELSE EXISTS (SELECT FROM events ev WHERE ev.tenant_id = e.tenant_id AND ${AFTER}) END`;
const RELEASED = Prisma.sql`lease_owner = NULL, lease_expires_at = NULL`;

const lasting = (ms: number): Prisma.Sql => Prisma.sql`make_interval(secs => ${ms / 1000}::float8)`;

export const deliveryRepository = {
  /** Lists due endpoints that no process holds, longest overdue first. */
  candidates: (db: Queryable, limit: number): Promise<{ id: string; tenant_id: string | null }[]> =>
    db.$queryRaw`
      SELECT e.id, e.tenant_id FROM webhook_endpoints e LEFT JOIN tenants t ON t.id = e.tenant_id
      WHERE e.enabled AND e.next_turn_at <= ${NOW} AND ${IS_FREE} AND t.deleted_at IS NULL
        AND (${HAS_RETRY} OR ${HAS_EVENT})
      ORDER BY e.next_turn_at LIMIT ${limit}`,

  /** Takes the lease of an endpoint; null if another process was faster, or the endpoint is no longer due. */
  async claim(db: Queryable, id: string, { owner, forMs }: Lease): Promise<ClaimedEndpoint | null> {
    const [row] = await db.$queryRaw<(Omit<ClaimedEndpoint, 'position'> & CommitPosition)[]>`
      UPDATE webhook_endpoints e SET lease_owner = ${owner}, lease_expires_at = clock_timestamp() + ${lasting(forMs)}
      WHERE e.id = ${id} AND e.enabled AND e.next_turn_at <= ${NOW} AND ${IS_FREE}
        AND NOT EXISTS (SELECT FROM tenants t WHERE t.id = e.tenant_id AND t.deleted_at IS NOT NULL)
      RETURNING id, tenant_id AS "tenantId", url, event_types AS "eventTypes", failures,
        position_transaction_id AS transaction, position_seq AS sequence`;
    if (row === undefined) return null;
    const { transaction, sequence, ...endpoint } = row;
    return { ...endpoint, position: { transaction, sequence } };
  },

  /** Releases the lease. The next turn of the endpoint comes after those of endpoints that have waited longer. */
  release: (db: Queryable, id: string, { owner }: Lease, restMs = 0) =>
    db.$executeRaw`
      UPDATE webhook_endpoints SET ${RELEASED},
        next_turn_at = GREATEST(next_turn_at, clock_timestamp() + ${lasting(restMs)})
      WHERE id = ${id} AND lease_owner = ${owner}`,

  /**
   * Lists an endpoint's encrypted secrets that have not expired, newest first. Messages are signed with all of them.
   */
  secrets: async (db: Queryable, endpointId: string): Promise<string[]> =>
    (
      await db.$queryRaw<{ sealed: string }[]>`
        SELECT sealed FROM webhook_secrets
        WHERE endpoint_id = ${endpointId} AND (expires_at IS NULL OR expires_at > ${NOW}) ORDER BY id DESC`
    ).map(({ sealed }) => sealed),

  /** Finds the delivery whose retry is most overdue. `event` is null if the event was pruned. */
  async dueRetry(
    db: Queryable,
    endpointId: string,
  ): Promise<{ eventId: string; eventType: string; event: EventRow | null } | null> {
    const [row] = await db.$queryRaw<({ event_id: string; event_type: string } & EventRow)[]>`
      SELECT d.event_id, d.event_type, ev.* FROM webhook_deliveries d LEFT JOIN events ev ON ev.id = d.event_id
      WHERE d.endpoint_id = ${endpointId} AND d.next_attempt_at <= ${NOW} ORDER BY d.next_attempt_at LIMIT 1`;
    if (row === undefined) return null;
    const { event_id: eventId, event_type: eventType, ...event } = row;
    return { eventId, eventType, event: (event.id as string | null) === null ? null : event };
  },

  /** Counts the events that wait for a retry, up to {@link MANY_PENDING}. */
  countPending: (db: Queryable, endpointId: string) =>
    db.webhookDelivery.count({ where: { endpointId, state: 'pending' }, take: MANY_PENDING }),

  /**
   * Moves the endpoint past events that need not be sent.
   * @returns false if the lease is lost
   */
  advance: (db: Queryable, id: string, position: CommitPosition, lease: Lease): Promise<boolean> =>
    hold(
      db,
      id,
      lease,
      Prisma.sql`
      position_transaction_id = ${position.transaction}, position_seq = ${position.sequence}`,
    ),

  /**
   * Moves the endpoint past events that were pruned before they could be sent, and records an event that says so.
   * @returns false if the lease is lost
   */
  skipPruned: (
    db: Database,
    { id, tenantId }: ClaimedEndpoint,
    { to, data, lease }: { to: CommitPosition; data: EventData<'webhook_endpoint.events_missed'>; lease: Lease },
  ): Promise<boolean> =>
    withTransaction(db, async (tx) => {
      if (!(await deliveryRepository.advance(tx, id, to, lease))) return false;
      await recordEvent(tx, { tenantId, type: 'webhook_endpoint.events_missed', subjectId: id, data });
      return true;
    }),

  /** Marks the delivery of an event as failed, because the event was pruned before it could be sent. */
  giveUpPruned: (db: Queryable, endpointId: string, eventId: string) =>
    db.$executeRaw`
      UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, outcome = 'event_pruned'
      WHERE endpoint_id = ${endpointId} AND event_id = ${eventId}`,

  /**
   * Records the outcome of an attempt, and disables the endpoint if it has failed for too long. Writes nothing if the
   * lease is lost: the process that holds it then sends the event again.
   * @returns the reason if the endpoint was disabled; `lost` if the lease is lost
   */
  record: (
    db: Database,
    endpoint: Pick<ClaimedEndpoint, 'id' | 'tenantId'>,
    attempt: Attempt,
    lease: Lease,
  ): Promise<'lost' | 'failing' | 'gone' | null> =>
    withTransaction(db, async (tx) => {
      if (!(await noteOnEndpoint(tx, endpoint.id, attempt, lease))) return 'lost';
      const isOver = await noteOnDelivery(tx, endpoint, attempt);
      const reason = attempt.statusCode === 410 ? ('gone' as const) : isOver ? ('failing' as const) : null;
      if (reason === null || !(await disable(tx, endpoint.id, reason))) return null;
      const data = { reason, event_id: attempt.eventId } as const;
      const { id: subjectId, tenantId } = endpoint;
      await recordEvent(tx, { tenantId, type: 'webhook_endpoint.disabled', subjectId, data });
      return reason;
    }),
};

/**
 * Changes an endpoint and renews its lease.
 * @returns false if the lease is lost
 */
async function hold(db: Queryable, id: string, { owner, forMs }: Lease, change: Prisma.Sql): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE webhook_endpoints SET ${change}, lease_expires_at = clock_timestamp() + ${lasting(forMs)}
    WHERE id = ${id} AND lease_owner = ${owner}`;
  return count === 1;
}

function noteOnEndpoint(tx: Transaction, id: string, attempt: Attempt, lease: Lease): Promise<boolean> {
  const { position, outcome, restMs } = attempt;
  const moved =
    position === null
      ? Prisma.empty
      : Prisma.sql`, position_transaction_id = ${position.transaction}, position_seq = ${position.sequence}`;
  const noted =
    outcome === 'delivered'
      ? Prisma.sql`failures = 0, last_success_at = clock_timestamp()`
      : Prisma.sql`failures = failures + 1, next_turn_at = clock_timestamp() + ${lasting(restMs)}`;
  return hold(tx, id, lease, Prisma.sql`${noted}${moved}`);
}

/**
 * Stores an attempt in the row of its delivery.
 * @returns whether the delivery has failed for good, and no event was delivered to the endpoint since the first attempt
 * at this delivery
 */
async function noteOnDelivery(
  tx: Transaction,
  { id: endpointId, tenantId }: Pick<ClaimedEndpoint, 'id' | 'tenantId'>,
  attempt: Attempt,
): Promise<boolean> {
  const { eventId, eventType, outcome, statusCode, latencyMs, delaysMs, leastDelayMs } = attempt;
  const delays = Prisma.sql`${delaysMs.map((ms) => ms / 1000)}::float8[]`;
  // The replay of a finished delivery counts its attempts from 1 again.
  const number = Prisma.sql`(CASE WHEN d.state = 'pending' THEN d.attempts + 1 ELSE 1 END)`;
  const next = (count: Prisma.Sql) =>
    outcome === 'delivered'
      ? Prisma.sql`NULL`
      : Prisma.sql`clock_timestamp() + make_interval(secs => CASE WHEN (${delays})[${count}] IS NOT NULL
          THEN GREATEST((${delays})[${count}], ${leastDelayMs / 1000}::float8) END)`;
  const state = (count: Prisma.Sql) =>
    outcome === 'delivered'
      ? Prisma.sql`'delivered'`
      : Prisma.sql`CASE WHEN (${delays})[${count}] IS NULL THEN 'failed' ELSE 'pending' END`;
  const one = Prisma.sql`1`;
  const [row] = await tx.$queryRaw<{ over: boolean }[]>`
    INSERT INTO webhook_deliveries AS d (id, endpoint_id, tenant_id, event_id, event_type, state, attempts,
      next_attempt_at,
      first_attempt_at, last_attempt_at, outcome, status_code, latency_ms)
    VALUES (${newId('webhookDelivery')}, ${endpointId}, ${tenantId}, ${eventId}, ${eventType}, ${state(one)}, 1,
      ${next(one)},
      clock_timestamp(), clock_timestamp(), ${outcome}, ${statusCode}, ${latencyMs})
    ON CONFLICT (endpoint_id, event_id) DO UPDATE
      SET state = ${state(number)}, attempts = ${number}, next_attempt_at = ${next(number)},
      first_attempt_at = CASE WHEN ${number} = 1 THEN EXCLUDED.first_attempt_at ELSE d.first_attempt_at END,
      last_attempt_at = EXCLUDED.last_attempt_at, outcome = EXCLUDED.outcome, status_code = EXCLUDED.status_code,
      latency_ms = EXCLUDED.latency_ms
    RETURNING d.state = 'failed' AND NOT EXISTS (
      SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint_id AND e.last_success_at >= d.first_attempt_at) AS over`;
  return row?.over === true;
}

async function disable(tx: Transaction, id: string, reason: string): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE webhook_endpoints SET enabled = FALSE, disabled_reason = ${reason}, ${RELEASED}
    WHERE id = ${id} AND enabled`;
  return count === 1;
}
