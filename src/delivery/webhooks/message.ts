import type { EventRow } from '../events/index.ts';
import { toEvent, type Event } from '../events/index.ts';

/** The event of a test, which is only sent to the endpoint that is tested. */
export const PING = 'webhook_endpoint.tested';

/** What is sent, as Standard Webhooks recommends it. */
export interface WebhookMessage {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Event;
}

export function toMessage(row: EventRow): WebhookMessage {
  const event = toEvent(row);
  return { type: event.type, timestamp: event.occurred_at, data: event };
}

/** Whether an endpoint wants events of a type. */
export function wants(eventTypes: readonly string[], type: string): boolean {
  if (type === PING) return false;
  const subject = type.slice(0, type.indexOf('.'));
  return eventTypes.length === 0 || eventTypes.includes(type) || eventTypes.includes(`${subject}.*`);
}
