import { SETTINGS } from '../../platform/config/settings.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { AppError, conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { AddressPolicy } from '../../platform/outgoing/address-policy.ts';
import { urlProblem } from '../../platform/outgoing/target.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import type { SecretBox } from '../../platform/config/secret-box.ts';
import { unconfined } from '../../platform/database/row-security/confined-database.repository.ts';
import {
  nextTransaction,
  parsePosition,
  prunedUpTo,
  recordEvent,
  requireReached,
  requireRetained,
  type CommitPosition,
} from '../events/index.ts';
import { PING } from './message.ts';
import { generateWebhookSecret, requireSecretBox } from './webhook-secret.ts';
import { toDelivery, toEndpoint } from './webhook.mapper.ts';
import { webhookRepository as repository, type EndpointRow } from './webhook.repository.ts';
import {
  DEFAULT_SECRET_OVERLAP_MS,
  type CreatedWebhookEndpoint,
  type CreateWebhookEndpoint,
  type ListWebhookDeliveries,
  type ListWebhookEndpoints,
  type ReplayWebhookEvents,
  type RotateWebhookSecret,
  type UpdateWebhookEndpoint,
  type WebhookDelivery,
  type WebhookEndpoint,
} from './webhook.schemas.ts';

/** Largest number of endpoints that one tenant, or the operator, may have. */
const MAX_ENDPOINTS = 20;
/** Largest number of secrets that sign an endpoint's messages at a time. */
const MAX_SECRETS = 4;

interface WebhookDependencies {
  readonly db: Database;
  readonly policy: AddressPolicy;
  /** Encrypts the secrets of endpoints before they are stored. Null if the service has no key for the encryption. */
  readonly box: SecretBox | null;
}

/**
 * Creates the service for webhook endpoints. `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export function createWebhookService({ db, policy, box }: WebhookDependencies) {
  async function change<T>(
    id: string,
    scope: string | null,
    work: (tx: Transaction, row: EndpointRow) => Promise<T>,
  ): Promise<T> {
    return withTransaction(db, async (tx) => {
      const row = await repository.lock(tx, id, scope ?? undefined);
      if (row === null) throw notFound('webhook endpoint', id);
      return work(tx, row);
    });
  }

  async function addSecret(tx: Transaction, row: EndpointRow, othersForMs: number): Promise<string> {
    const secret = generateWebhookSecret();
    const { id: endpointId, tenantId } = row;
    const sealed = requireSecretBox(box).seal(secret, endpointId);
    await repository.addSecret(tx, { id: newId('webhookSecret'), endpointId, tenantId, sealed }, othersForMs);
    return secret;
  }

  return {
    /**
     * Creates a webhook endpoint with its first secret.
     * @throws AppError 404 if the tenant is gone; 409 `too_many_webhook_endpoints`, 422 `url_not_allowed`, 503
     * `secret_key_missing`
     */
    async create(
      request: CreateWebhookEndpoint,
      scope: string | null,
      record: RecordAnswer<CreatedWebhookEndpoint>,
    ): Promise<CreatedWebhookEndpoint> {
      requireSecretBox(box);
      const { url, description = null, event_types: eventTypes = [] } = request;
      requireAllowed(url, policy);
      const tenantId = ownerOf(request, scope);
      // Later commits come after this position, whichever tenant they belong to.
      const position = await repository.end(unconfined(db));
      return withTransaction(db, async (tx) => {
        if (!(await repository.lockOwner(tx, tenantId))) throw notFound('tenant', tenantId ?? '');
        if ((await repository.count(tx, tenantId)) >= MAX_ENDPOINTS) throw tooMany();
        const id = newId('webhookEndpoint');
        const row = await repository.insert(tx, { id, tenantId, url, description, eventTypes, position });
        const secret = await addSecret(tx, row, 0);
        const data = { event_types: eventTypes };
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.created', subjectId: id, data });
        const created = { ...toEndpoint(row), secret };
        await record(tx, created);
        return created;
      });
    },

    async list(query: ListWebhookEndpoints, scope: string | null): Promise<Page<WebhookEndpoint>> {
      if (scope !== null && query.tenant_id !== undefined && query.tenant_id !== scope) {
        throw notFound('tenant', query.tenant_id);
      }
      return toPage(await repository.page(db, query, scope ?? query.tenant_id), query, toEndpoint);
    },

    /** Reads a webhook endpoint. @throws AppError 404 if there is none with this identifier */
    async get(id: string, scope: string | null): Promise<WebhookEndpoint> {
      const row = await repository.find(db, id, scope ?? undefined);
      if (row === null) throw notFound('webhook endpoint', id);
      return toEndpoint(row);
    },

    /** Changes a webhook endpoint. @throws AppError 404 if there is no such endpoint; 422 `url_not_allowed` */
    update: (id: string, request: UpdateWebhookEndpoint, scope: string | null, recordChange: RecordChange) =>
      change(id, scope, async (tx, row): Promise<WebhookEndpoint> => {
        if (request.url !== undefined) requireAllowed(request.url, policy);
        const updated = await repository.update(tx, row, request);
        const { tenantId } = row;
        const data = { changed: Object.keys(request) };
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.updated', subjectId: id, data });
        await recordChange(tx, { tenantId, subjectId: id, before: toEndpoint(row), after: toEndpoint(updated) });
        return toEndpoint(updated);
      }),

    /**
     * Deletes a webhook endpoint with its secrets and the log of its deliveries.
     * @throws AppError 404 if there is no such endpoint
     */
    delete: (id: string, scope: string | null, recordChange: RecordChange): Promise<void> =>
      change(id, scope, async (tx, row) => {
        const { tenantId } = row;
        await repository.delete(tx, id);
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.deleted', subjectId: id, data: {} });
        await recordChange(tx, { tenantId, subjectId: id, before: toEndpoint(row), after: null });
      }),

    /**
     * Gives a webhook endpoint a new secret. Messages are signed with the old secrets as well until the overlap is
     * over.
     * @throws AppError 404 if there is no such endpoint; 409 `rotation_in_progress` if too many secrets sign already,
     * 503 `secret_key_missing`
     */
    rotate: (
      id: string,
      { overlap_ms: overlapMs = DEFAULT_SECRET_OVERLAP_MS }: RotateWebhookSecret,
      scope: string | null,
      record: RecordAnswer<CreatedWebhookEndpoint>,
    ): Promise<CreatedWebhookEndpoint> =>
      change(id, scope, async (tx, row) => {
        if (overlapMs > 0 && (await repository.countSecrets(tx, id)) >= MAX_SECRETS) throw stillRotating(id);
        const secret = await addSecret(tx, row, overlapMs);
        const { tenantId } = row;
        const data = { overlap_ms: overlapMs };
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.secret_rotated', subjectId: id, data });
        const created = { ...toEndpoint(row), secret };
        await record(tx, created);
        return created;
      }),

    /** Lists the deliveries to a webhook endpoint. @throws AppError 404 if there is no such endpoint */
    async deliveries(id: string, query: ListWebhookDeliveries, scope: string | null): Promise<Page<WebhookDelivery>> {
      if ((await repository.find(db, id, scope ?? undefined)) === null) throw notFound('webhook endpoint', id);
      return toPage(await repository.deliveries(db, id, query), query, toDelivery);
    },

    /**
     * Sends the event of an earlier delivery again.
     * @throws AppError 404 if there is no such endpoint or delivery; 409 `webhook_endpoint_disabled`
     */
    replayDelivery: (
      { id, delivery_id: deliveryId }: { id: string; delivery_id: string },
      scope: string | null,
      recordChange: RecordChange,
    ): Promise<WebhookDelivery> =>
      change(id, scope, async (tx, row) => {
        requireEnabled(row);
        const delivery = await repository.findDelivery(tx, id, deliveryId);
        if (delivery === null) throw notFound('webhook delivery', deliveryId);
        const replayed = await repository.replay(tx, deliveryId);
        const { tenantId } = row;
        const data = { delivery_id: deliveryId, event_id: delivery.eventId };
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.replayed', subjectId: id, data });
        const [before, after] = [toDelivery(delivery), toDelivery(replayed)];
        await recordChange(tx, { tenantId, subjectId: id, before, after });
        return after;
      }),

    /**
     * Sends all events after a position, or since a time, to a webhook endpoint again.
     * @throws AppError 400 `invalid_cursor`, 404 if there is no such endpoint; 409 `webhook_endpoint_disabled`, 410
     * `position_expired`
     */
    async replay(
      id: string,
      request: ReplayWebhookEvents,
      scope: string | null,
      recordChange: RecordChange,
    ): Promise<WebhookEndpoint> {
      const position = await positionOf(db, request, scope);
      return change(id, scope, async (tx, row) => {
        requireEnabled(row);
        const moved = await repository.moveTo(tx, id, position);
        const [before, after] = [toEndpoint(row), toEndpoint(moved)];
        const { tenantId } = row;
        const data = { from: before.position, to: after.position };
        await recordEvent(tx, { tenantId, type: 'webhook_endpoint.replayed', subjectId: id, data });
        await recordChange(tx, { tenantId, subjectId: id, before, after });
        return after;
      });
    },

    /**
     * Sends a test event to a webhook endpoint, whatever types of events the endpoint is set to get.
     * @throws AppError 404 if there is no such endpoint; 409 if the endpoint is disabled or an earlier test is still to
     * be delivered
     */
    test: (id: string, scope: string | null, record: RecordAnswer<WebhookDelivery>): Promise<WebhookDelivery> =>
      change(id, scope, async (tx, row) => {
        requireEnabled(row);
        if (await repository.isWaiting(tx, id, PING)) {
          throw conflict('webhook_test_waiting', `an earlier test of webhook endpoint ${id} is still to be delivered`);
        }
        const { tenantId } = row;
        const eventId = newId('event');
        await recordEvent(tx, { id: eventId, tenantId, type: PING, subjectId: id, data: {} });
        const added = await repository.addDelivery(tx, { endpointId: id, tenantId, eventId, eventType: PING });
        const delivery = toDelivery(added);
        await record(tx, delivery);
        return delivery;
      }),
  };
}

function ownerOf({ tenant_id: requested }: CreateWebhookEndpoint, scope: string | null): string | null {
  if (scope === null) return requested ?? null;
  if (requested === null) {
    throw new AppError({
      code: 'forbidden',
      status: 403,
      message: 'only an operator can have the events of all tenants sent',
    });
  }
  if (requested !== undefined && requested !== scope) throw notFound('tenant', requested);
  return scope;
}

function requireAllowed(url: string, policy: AddressPolicy): void {
  const problem = urlProblem(url, policy, SETTINGS.webhookAllowedRanges.variable);
  if (problem !== null) throw unprocessable('url_not_allowed', `url cannot be used: ${problem}`);
}

function requireEnabled({ id, enabled }: EndpointRow): void {
  if (enabled) return;
  throw conflict('webhook_endpoint_disabled', `webhook endpoint ${id} is disabled: enable it first, with PATCH`);
}

function tooMany(): AppError {
  const message = `there are ${MAX_ENDPOINTS} webhook endpoints already, and more are not allowed: delete one first`;
  return conflict('too_many_webhook_endpoints', message, { limit: MAX_ENDPOINTS });
}

function stillRotating(id: string): AppError {
  const message =
    `${MAX_SECRETS} secrets of webhook endpoint ${id} sign already: wait until an older one has expired, ` +
    'or rotate with overlap_ms 0, which ends all others at once';
  return conflict('rotation_in_progress', message);
}

async function positionOf(db: Database, request: ReplayWebhookEvents, scope: string | null): Promise<CommitPosition> {
  if ('since' in request) {
    // Identifiers carry the clock of the process that made them, which may be some seconds slow.
    const since = new Date(Date.parse(request.since) - 5000);
    // All tenants' events are in one order, so the first event of any tenant will do.
    const everything = unconfined(db);
    return (await repository.before(everything, since)) ?? repository.end(everything);
  }
  const position = parsePosition(request.after);
  const isStart = position.transaction === 0n && position.sequence === 0n;
  const retained = { what: 'events', setting: SETTINGS.eventRetentionDays.variable };
  if (!isStart) requireRetained(position, await prunedUpTo(db, 'events', scope), retained);
  requireReached(request.after, position, await nextTransaction(db));
  return position;
}
