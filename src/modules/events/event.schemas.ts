import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from '../../lib/schemas.ts';
import { POSITION_PATTERN } from './commit-position.ts';

export const Event = Type.Object(
  {
    id: Id('event'),
    sequence: Type.String({
      description:
        'Position of the event in the order of commits. Pass it as `after` to get later events, or as `changed_after` to ' +
        'get jobs that changed later.',
    }),
    tenant_id: Nullable(Id('tenant', 'The tenant that may see the event; null for the operator alone.')),
    type: Type.String({ description: '`<subject>.<what happened>`, for example `rollout.completed`.' }),
    subject_id: Type.String({ description: 'Identifier of what the event is about.' }),
    data: Type.Object({}, { additionalProperties: true, description: 'Details, which depend on the type.' }),
    occurred_at: Timestamp,
  },
  { title: 'Event' },
);
export type Event = Static<typeof Event>;

export const EventQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        pattern: POSITION_PATTERN,
        description:
          'Only events after this `sequence`. Without it, or with `0`, the list begins with the oldest event that is kept. If ' +
          'events after it were pruned, the answer is 410.',
      }),
    ),
    subject_id: Type.Optional(Type.String({ maxLength: 100, description: 'Only events about this subject.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
  },
  { additionalProperties: false },
);
export type EventQuery = Static<typeof EventQuery>;

export const Events = Type.Object(
  {
    data: Type.Array(Event),
    next_after: Nullable(Type.String({ description: 'Pass it as `after` to get later events.' })),
  },
  { title: 'Events' },
);
export type Events = Static<typeof Events>;
