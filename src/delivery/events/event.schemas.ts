import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';
import { EVENT_CATALOG, EVENT_TYPES, subjectKind, type EventData, type EventType } from './catalog/catalog.ts';
import { POSITION_PATTERN } from './commit-position.ts';

const Common = {
  id: Id('event'),
  sequence: Type.String({
    description:
      'Position of the event in the order of commits. Pass it as `after` to get later events, or as `changed_after` ' +
      'to get jobs that changed later.',
  }),
  tenant_id: Nullable(Id('tenant', 'The tenant that may see the event; null for the operator alone.')),
  occurred_at: Timestamp,
};

/** An event whose `data` has the form that belongs to its type. */
type EventOf<T extends EventType> = Static<Type.TObject<typeof Common>> & {
  type: T;
  /** Identifier of the object that the event is about. */
  subject_id: string;
  data: EventData<T>;
};
export type Event = { [T in EventType]: EventOf<T> }[EventType];

/** Schema of the name of an event type: one of those that this version records. */
export const EventTypeName = Type.Enum(EVENT_TYPES, {
  title: 'EventType',
  description: 'What has happened. Later versions add types.',
});

/** Makes the title of the schema of an event type's events: `JobNotReadyEvent` for `job.not_ready`. */
export function titleOf(type: EventType): string {
  return `${pascalCase(type)}Event`;
}

function pascalCase(type: EventType): string {
  const words = type.split(/[._]/).map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`);
  return words.join('');
}

function dataSchema<T extends EventType>(type: T) {
  const { data } = EVENT_CATALOG[type];
  const { title = `${pascalCase(type)}Data` } = data as { title?: string };
  const description = `Data of events of the type${title === 'JobChangeData' ? 's of jobs' : ` \`${type}\``}.`;
  return Type.Unsafe<EventData<T>>({ ...data, title, description });
}

/** Creates the schema of the events of one type. */
export function eventSchema(type: EventType) {
  const { description } = EVENT_CATALOG[type];
  return Type.Object(
    {
      id: Common.id,
      sequence: Common.sequence,
      tenant_id: Common.tenant_id,
      type: Type.Enum([type]),
      subject_id: Id(subjectKind(type), 'What the event is about.'),
      data: dataSchema(type),
      occurred_at: Common.occurred_at,
    },
    { title: titleOf(type), description },
  );
}

/** Schema of an event of any type that this version records. The member `type` tells the types apart. */
const KnownEvent = Type.Unsafe<Event>({
  title: 'KnownEvent',
  description: 'An event of a type that this version of the document describes.',
  oneOf: EVENT_TYPES.map(eventSchema),
  discriminator: {
    propertyName: 'type',
    mapping: Object.fromEntries(EVENT_TYPES.map((type) => [type, `#/components/schemas/${titleOf(type)}`])),
  },
});

const UnknownEvent = Type.Object(
  {
    id: Common.id,
    sequence: Common.sequence,
    tenant_id: Common.tenant_id,
    type: Type.String({ description: 'What has happened.' }),
    subject_id: Type.String({ description: 'What the event is about.' }),
    data: Type.Record(Type.String(), Type.Unknown(), { description: 'Data of events of the type.' }),
    occurred_at: Common.occurred_at,
  },
  { title: 'UnknownEvent', description: 'An event of a type that another version of the service has added.' },
);

/**
 * Schema from which clients are generated. `UnknownEvent` comes last, because clients try the schemas in order; it lets
 * them read events of a newer version. Answers are not serialized by this schema: events are sent as they were
 * recorded.
 */
const Event = Type.Unsafe<Event>({
  title: 'Event',
  description:
    'Something that has happened. Later versions of the service add types: pass over those that you do not know.',
  anyOf: [KnownEvent, UnknownEvent],
});

const After = Type.String({
  pattern: POSITION_PATTERN,
  description:
    'Only events after this `sequence`. Without it, or with `0`, the list begins with the oldest event that is kept. ' +
    'If events after it were pruned, the answer is 410.',
});

/** Query parameters of a list of the events of one subject. */
export const EventPageQuery = Type.Object(
  {
    after: Type.Optional(After),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Largest number of entries in the answer.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type EventPageQuery = Static<typeof EventPageQuery>;

export const EventQuery = Type.Object(
  {
    ...EventPageQuery.properties,
    subject_id: Type.Optional(Type.String({ maxLength: 100, description: 'Only events about this subject.' })),
  },
  { additionalProperties: false },
);
export type EventQuery = Static<typeof EventQuery>;

export const EventStreamQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        pattern: POSITION_PATTERN,
        description:
          'Only events after this `sequence`; `0` begins with the oldest event that is kept. Without it, and without ' +
          '`Last-Event-ID`, which goes before it, the stream begins with what happens from now on. If events after ' +
          'it were pruned, the answer is 410.',
      }),
    ),
  },
  { additionalProperties: false },
);

export type EventStreamQuery = Static<typeof EventStreamQuery>;

export const EventStreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: `^$|${POSITION_PATTERN}`,
      description:
        'The last `id` that the client has received. The stream goes on after it, and misses and repeats nothing.',
    }),
  ),
});

export const EventStream = {
  description:
    'Server-sent events. `event` is the type, `id` the position, and `data` the event as JSON, as lists show it. The ' +
    'first block and heartbeats have an `id` and no `data`.',
  content: { 'text/event-stream': { schema: Type.Unsafe<object>(Type.String()) } },
};

export const Events = Type.Object(
  {
    data: Type.Array(Event),
    next_after: Nullable(Type.String({ description: 'Pass it as `after` to get later events.' })),
  },
  { title: 'Events', description: 'Events, oldest first.' },
);
export type Events = Static<typeof Events>;
