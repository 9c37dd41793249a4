import Type from 'typebox';
import { Id } from '../../../platform/contract/schemas.ts';
import { describeEventType } from './describe-event.ts';

const eventTypes = Type.Array(Type.String(), { description: 'The types that are sent; none stands for all.' });
const position = (description: string) => Type.String({ description });

/** Events of webhook endpoints. */
export const WEBHOOK_EVENTS = {
  'webhook_endpoint.created': describeEventType('A webhook endpoint was created.', { event_types: eventTypes }),
  'webhook_endpoint.updated': describeEventType('A webhook endpoint has other settings.', {
    changed: Type.Array(Type.String(), { description: 'The names of the settings that were given.' }),
  }),
  'webhook_endpoint.deleted': describeEventType('A webhook endpoint was deleted.', {}),
  'webhook_endpoint.secret_rotated': describeEventType('A webhook endpoint has another secret.', {
    overlap_ms: Type.Number({ description: 'For how long the old secret signs, too.' }),
  }),
  'webhook_endpoint.replayed': describeEventType(
    'Events are sent to a webhook endpoint again, one or all from a position on.',
    {
      delivery_id: Type.Optional(Id('webhookDelivery')),
      event_id: Type.Optional(Id('event')),
      from: Type.Optional(position('Position of the endpoint before.')),
      to: Type.Optional(position('Position from which events are sent again.')),
    },
  ),
  'webhook_endpoint.tested': describeEventType('A test of a webhook endpoint, which says nothing.', {}),
  'webhook_endpoint.disabled': describeEventType('Nothing is sent to a webhook endpoint any more.', {
    reason: Type.Enum(['gone', 'failing'] as const, {
      title: 'WebhookFailure',
      description: '`gone`: it has answered 410. `failing`: for three days.',
    }),
    event_id: Id('event', 'The event that could not be delivered last.'),
  }),
  'webhook_endpoint.events_missed': describeEventType(
    'Events were pruned before they could be sent to a webhook endpoint.',
    {
      after: position('The position after which events are missing.'),
      pruned_up_to: position('The position of the last one.'),
    },
  ),
} as const;
