import Type, { type Static } from 'typebox';
import { Id, Timestamp } from '../../lib/schemas.ts';

export const Event = Type.Object(
  {
    id: Id('event'),
    sequence: Type.String({ description: 'Pass as `after` for what comes later.' }),
    tenant_id: Type.Union([Id('tenant'), Type.Null()]),
    type: Type.String(),
    subject_id: Type.String(),
    data: Type.Object({}, { additionalProperties: true }),
    occurred_at: Timestamp,
  },
  { title: 'Event' },
);
export type Event = Static<typeof Event>;

export const EventQuery = Type.Object(
  {
    after: Type.Optional(Type.String({ pattern: '^[0-9]{1,18}$', description: 'Only events after this sequence.' })),
    subject_id: Type.Optional(Type.String({ maxLength: 100 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
  },
  { additionalProperties: false },
);
export type EventQuery = Static<typeof EventQuery>;

export const Events = Type.Object(
  {
    data: Type.Array(Event),
    next_after: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'Events' },
);
export type Events = Static<typeof Events>;
