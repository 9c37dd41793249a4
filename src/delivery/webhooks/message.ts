import type { EventRow } from '../events/index.ts';
import { toEvent, type Event } from '../events/index.ts';

/** Type of the event by which somebody tests an endpoint. It is sent only to the tested endpoint. */
export const PING = 'webhook_endpoint.tested';

/** Body of a request to an endpoint, in the form recommended by Standard Webhooks. */
export interface WebhookMessage {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Event;
}

export function toMessage(row: EventRow): WebhookMessage {
  const event = toEvent(row);
  return { type: event.type, timestamp: event.occurred_at, data: event };
}

/**
 * Whether an event of the type `type` is to be sent to an endpoint that is set to get events of the types `eventTypes`.
 */
export function wants(eventTypes: readonly string[], type: string): boolean {
  if (type === PING) return false;
  const subject = type.slice(0, type.indexOf('.'));
  return eventTypes.length === 0 || eventTypes.includes(type) || eventTypes.includes(`${subject}.*`);
}
