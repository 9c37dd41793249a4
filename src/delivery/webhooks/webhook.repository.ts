import { Prisma, type Database, type Queryable, type Transaction } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';
import { pageArguments } from '../../platform/contract/pagination.ts';
import { FIRST_RUNNING, type CommitPosition } from '../events/index.ts';
import type { ListWebhookDeliveries, ListWebhookEndpoints, UpdateWebhookEndpoint } from './webhook.schemas.ts';

export type EndpointRow = Prisma.WebhookEndpointGetPayload<object>;
export type DeliveryRow = Prisma.WebhookDeliveryGetPayload<object>;

export interface NewEndpoint {
  readonly id: string;
  readonly tenantId: string | null;
  readonly url: string;
  readonly description: string | null;
  readonly eventTypes: readonly string[];
  readonly position: CommitPosition;
}

/**
 * SQL assignments that restart the delivery to an endpoint: they release its lease, reset its failures and make its
 * next turn due at once. Every update of an endpoint includes them, and so does every move of its position.
 */
const ANEW = Prisma.sql`lease_owner = NULL, lease_expires_at = NULL, failures = 0, next_turn_at = clock_timestamp()`;

export const webhookRepository = {
  /**
   * Locks the tenant or the operator that owns endpoints until the transaction ends, so that of two concurrent
   * creations the later one counts the endpoint of the earlier one.
   * @returns false if the tenant is gone
   */
  async lockOwner(tx: Transaction, tenantId: string | null): Promise<boolean> {
    if (tenantId === null) {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(7236841)`;
      return true;
    }
    const found = await tx.$queryRaw<unknown[]>`
      SELECT id FROM tenants WHERE id = ${tenantId} AND deleted_at IS NULL FOR NO KEY UPDATE`;
    return found.length === 1;
  },
  count: (tx: Transaction, tenantId: string | null) => tx.webhookEndpoint.count({ where: { tenantId } }),

  /**
   * Reads the position at the end of the event log of all tenants. Everything that commits later comes after this
   * position.
   */
  async end(db: Queryable): Promise<CommitPosition> {
    const [row] = await db.$queryRaw<[CommitPosition]>`
      SELECT ${FIRST_RUNNING} - 1 AS transaction, COALESCE((SELECT max(seq) FROM events), 0) AS sequence`;
    return row;
  },

  /**
   * Finds a position that comes before all events made since a time; null if there are no such events. The earliest of
   * these events is found by its identifier, which begins with the time. Other events may come before it in the order
   * of commits, but they were made at most a minute after it, because a transaction takes at most a minute.
   */
  async before(db: Queryable, since: Date): Promise<CommitPosition | null> {
    const [first] = await db.$queryRaw<{ id: string }[]>`
      SELECT id FROM events WHERE id >= ${firstIdAt(since.getTime())} ORDER BY id LIMIT 1`;
    if (first === undefined) return null;
    const [row] = await db.$queryRaw<CommitPosition[]>`
      SELECT transaction_id AS transaction, seq - 1 AS sequence FROM events
      WHERE id >= ${first.id} AND id < ${firstIdAt(timeOf(first.id) + 60_000)} ORDER BY transaction_id, seq LIMIT 1`;
    return row ?? null;
  },

  async insert(tx: Transaction, endpoint: NewEndpoint): Promise<EndpointRow> {
    const { id, tenantId, url, description, eventTypes, position } = endpoint;
    await tx.$executeRaw`
      INSERT INTO webhook_endpoints (id, tenant_id, url, description, event_types, position_transaction_id,
        position_seq)
      VALUES (${id}, ${tenantId}, ${url}, ${description}, ${[...eventTypes]}::text[],
        ${position.transaction}, ${position.sequence})`;
    return tx.webhookEndpoint.findUniqueOrThrow({ where: { id } });
  },

  /**
   * Adds a secret to an endpoint. Its other secrets expire after `othersForMs` milliseconds, unless they expire
   * earlier.
   */
  async addSecret(
    tx: Transaction,
    secret: { id: string; endpointId: string; tenantId: string | null; sealed: string },
    othersForMs: number,
  ): Promise<void> {
    const { id, endpointId, tenantId, sealed } = secret;
    await tx.$executeRaw`
      UPDATE webhook_secrets
      SET expires_at = LEAST(expires_at, clock_timestamp() + make_interval(secs => ${othersForMs / 1000}::float8))
      WHERE endpoint_id = ${endpointId}`;
    await tx.$executeRaw`
      INSERT INTO webhook_secrets (id, endpoint_id, tenant_id, sealed)
      VALUES (${id}, ${endpointId}, ${tenantId}, ${sealed})`;
  },
  async countSecrets(tx: Transaction, endpointId: string): Promise<number> {
    const [row] = await tx.$queryRaw<[{ count: number }]>`
      SELECT count(*)::int AS count FROM webhook_secrets
      WHERE endpoint_id = ${endpointId} AND (expires_at IS NULL OR expires_at > clock_timestamp())`;
    return row.count;
  },

  page(db: Database, query: ListWebhookEndpoints, tenantId: string | undefined): Promise<EndpointRow[]> {
    const { where, ...rest } = pageArguments(query);
    return db.webhookEndpoint.findMany({ ...rest, where: { ...where, tenantId } });
  },
  find: (db: Queryable, id: string, tenantId: string | undefined) =>
    db.webhookEndpoint.findFirst({ where: { id, tenantId } }),
  async lock(tx: Transaction, id: string, tenantId: string | undefined): Promise<EndpointRow | null> {
    await tx.$queryRaw`SELECT id FROM webhook_endpoints WHERE id = ${id} FOR NO KEY UPDATE`;
    return webhookRepository.find(tx, id, tenantId);
  },

  async update(tx: Transaction, row: EndpointRow, change: UpdateWebhookEndpoint): Promise<EndpointRow> {
    const { url, description, event_types: eventTypes, enabled } = change;
    const isEnabled = enabled ?? row.enabled;
    await tx.$executeRaw`
      UPDATE webhook_endpoints SET url = ${url ?? row.url},
        description = ${description === undefined ? row.description : description},
        event_types = ${eventTypes ?? row.eventTypes}::text[], enabled = ${isEnabled},
        disabled_reason = ${isEnabled ? null : (row.disabledReason ?? 'requested')}, ${ANEW}
      WHERE id = ${row.id}`;
    if (isEnabled && !row.enabled) {
      await tx.$executeRaw`
        UPDATE webhook_deliveries SET attempts = 0, first_attempt_at = NULL, next_attempt_at = clock_timestamp()
        WHERE endpoint_id = ${row.id} AND state = 'pending'`;
    }
    return tx.webhookEndpoint.findUniqueOrThrow({ where: { id: row.id } });
  },
  async moveTo(tx: Transaction, id: string, { transaction, sequence }: CommitPosition): Promise<EndpointRow> {
    await tx.$executeRaw`
      UPDATE webhook_endpoints SET position_transaction_id = ${transaction}, position_seq = ${sequence}, ${ANEW}
      WHERE id = ${id}`;
    return tx.webhookEndpoint.findUniqueOrThrow({ where: { id } });
  },
  delete: (tx: Transaction, id: string) => tx.$executeRaw`DELETE FROM webhook_endpoints WHERE id = ${id}`,

  deliveries(db: Database, endpointId: string, query: ListWebhookDeliveries): Promise<DeliveryRow[]> {
    const { where, ...rest } = pageArguments(query);
    return db.webhookDelivery.findMany({ ...rest, where: { ...where, endpointId, state: query.state } });
  },
  findDelivery: (tx: Transaction, endpointId: string, id: string) =>
    tx.webhookDelivery.findFirst({ where: { id, endpointId } }),
  /** Whether an event of this type still waits to be delivered to an endpoint. */
  async isWaiting(tx: Transaction, endpointId: string, eventType: string): Promise<boolean> {
    const found = await tx.webhookDelivery.findFirst({
      where: { endpointId, eventType, state: 'pending' },
      select: { id: true },
    });
    return found !== null;
  },
  /**
   * Adds the delivery of an event to an endpoint. It is due at once, whatever position the endpoint has reached in the
   * order of events.
   */
  async addDelivery(
    tx: Transaction,
    delivery: { endpointId: string; tenantId: string | null; eventId: string; eventType: string },
  ): Promise<DeliveryRow> {
    const id = newId('webhookDelivery');
    const { endpointId, tenantId, eventId, eventType } = delivery;
    await tx.$executeRaw`
      INSERT INTO webhook_deliveries (id, endpoint_id, tenant_id, event_id, event_type, state, next_attempt_at)
      VALUES (${id}, ${endpointId}, ${tenantId}, ${eventId}, ${eventType}, 'pending', clock_timestamp())`;
    return tx.webhookDelivery.findUniqueOrThrow({ where: { id } });
  },
  /** Makes an earlier delivery due again at once, and counts its attempts from 0. */
  async replay(tx: Transaction, id: string): Promise<DeliveryRow> {
    await tx.$executeRaw`
      UPDATE webhook_deliveries SET state = 'pending', attempts = 0, first_attempt_at = NULL,
        next_attempt_at = clock_timestamp()
      WHERE id = ${id}`;
    return tx.webhookDelivery.findUniqueOrThrow({ where: { id } });
  },
};

/**
 * Computes the smallest identifier that an event made at this time can have: a UUIDv7 begins with the milliseconds
 * since 1970.
 */
function firstIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `evt_${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

function timeOf(id: string): number {
  return Number.parseInt(id.slice('evt_'.length).replace('-', '').slice(0, 12), 16);
}
