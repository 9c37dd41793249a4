import { toTimestamp } from '../../platform/contract/schemas.ts';
import { formatPosition } from '../events/index.ts';
import type { DeliveryRow, EndpointRow } from './webhook.repository.ts';
import type { WebhookDelivery, WebhookEndpoint } from './webhook.schemas.ts';

export function toEndpoint(row: EndpointRow): WebhookEndpoint {
  return {
    id: row.id,
    tenant_id: row.tenantId,
    url: row.url,
    description: row.description,
    event_types: row.eventTypes,
    enabled: row.enabled,
    disabled_reason: row.disabledReason as WebhookEndpoint['disabled_reason'],
    position: formatPosition({ transaction: row.positionTransactionId, sequence: row.positionSeq }),
    failures: row.failures,
    last_success_at: toTimestamp(row.lastSuccessAt),
    created_at: toTimestamp(row.createdAt),
  };
}

export function toDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    id: row.id,
    endpoint_id: row.endpointId,
    event_id: row.eventId,
    event_type: row.eventType as WebhookDelivery['event_type'],
    state: row.state as WebhookDelivery['state'],
    attempts: row.attempts,
    next_attempt_at: toTimestamp(row.nextAttemptAt),
    first_attempt_at: toTimestamp(row.firstAttemptAt),
    last_attempt_at: toTimestamp(row.lastAttemptAt),
    outcome: row.outcome as WebhookDelivery['outcome'],
    status_code: row.statusCode,
    latency_ms: row.latencyMs,
  };
}
