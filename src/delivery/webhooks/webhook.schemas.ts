import Type, { type Static } from 'typebox';
import { MAX_URL } from '../../platform/outgoing/target.ts';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { Id, Nullable, requestedTime, Timestamp } from '../../platform/contract/schemas.ts';
import { EventTypeName, POSITION_PATTERN } from '../events/index.ts';

const DAY_MS = 86_400_000;
export const DEFAULT_SECRET_OVERLAP_MS = DAY_MS;
const MAX_OVERLAP_MS = 7 * DAY_MS;

const EventTypes = Type.Array(
  Type.String({
    pattern: '^[a-z_]{1,50}\\.([a-z_]{1,50}|\\*)$',
    description: '`rollout.completed`, or `rollout.*` for all.',
  }),
  { maxItems: 100, description: 'Only events of these types are sent. An empty list stands for all.' },
);

const Url = Type.String({
  minLength: 1,
  maxLength: MAX_URL,
  description:
    'Where events are sent by POST: a public address with https. Others need a range that the operator allows ' +
    '(`READAPT_WEBHOOK_ALLOWED_RANGES`).',
});
const Description = Type.String({ maxLength: 500 });

const properties = {
  id: Id('webhookEndpoint'),
  tenant_id: Nullable(
    Id('tenant', 'Tenant whose events are sent; null for events of the operator and of all tenants.'),
  ),
  url: Type.String(),
  description: Nullable(Type.String()),
  event_types: EventTypes,
  enabled: Type.Boolean(),
  disabled_reason: Nullable(
    Type.Enum(['requested', 'failing', 'gone'] as const, {
      title: 'WebhookDisabledReason',
      description:
        '`failing`: an event was sent in vain for three days, and no other one was taken meanwhile. `gone`: ' +
        'it has answered 410.',
    }),
  ),
  position: Type.String({ description: 'The `sequence` up to which events were sent at least once.' }),
  failures: Type.Integer({ description: 'Number of attempts that have failed since the last one that succeeded.' }),
  last_success_at: Nullable(Timestamp),
  created_at: Timestamp,
};

export const WebhookEndpoint = Type.Object(properties, {
  title: 'WebhookEndpoint',
  description: 'An address to which events are sent.',
});
export type WebhookEndpoint = Static<typeof WebhookEndpoint>;

export const CreatedWebhookEndpoint = Type.Object(
  {
    ...properties,
    secret: Nullable(
      Type.String({
        description:
          'The secret `whsec_…` that signs what is sent. It is shown only once: a replayed answer has null here.',
      }),
    ),
  },
  { title: 'CreatedWebhookEndpoint', description: 'A webhook endpoint with the secret that signs what is sent to it.' },
);
export type CreatedWebhookEndpoint = Static<typeof CreatedWebhookEndpoint>;

export const CreateWebhookEndpoint = Type.Object(
  {
    url: Url,
    description: Type.Optional(Nullable(Description)),
    event_types: Type.Optional(EventTypes),
    tenant_id: Type.Optional(
      Type.Union([Id('tenant'), Type.Null()], {
        description: 'Tenant whose events are sent. Without it, an operator gets all events, and a tenant its own.',
      }),
    ),
  },
  {
    title: 'CreateWebhookEndpoint',
    description: 'What a webhook endpoint is created with.',
    additionalProperties: false,
  },
);
export type CreateWebhookEndpoint = Static<typeof CreateWebhookEndpoint>;

export const UpdateWebhookEndpoint = Type.Object(
  {
    url: Type.Optional(Url),
    description: Type.Optional(Nullable(Description)),
    event_types: Type.Optional(EventTypes),
    enabled: Type.Optional(
      Type.Boolean({
        description:
          'Nothing is sent while it is false. Afterwards it goes on where it was, and begins the attempts of ' +
          'what failed anew.',
      }),
    ),
  },
  {
    title: 'UpdateWebhookEndpoint',
    description: 'What a webhook endpoint has from now on. What is left out stays as it is.',
    additionalProperties: false,
    minProperties: 1,
  },
);
export type UpdateWebhookEndpoint = Static<typeof UpdateWebhookEndpoint>;

export const RotateWebhookSecret = Type.Object(
  {
    overlap_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_OVERLAP_MS,
        default: DEFAULT_SECRET_OVERLAP_MS,
        description: 'How long the old secret signs besides the new one; a day by default, seven at most.',
      }),
    ),
  },
  {
    title: 'RotateWebhookSecret',
    description: 'How the secret of a webhook endpoint is replaced.',
    additionalProperties: false,
  },
);
export type RotateWebhookSecret = Static<typeof RotateWebhookSecret>;

export const ReplayWebhookEvents = Type.Union(
  [
    Type.Object(
      {
        after: Type.String({ pattern: POSITION_PATTERN, description: 'Send all events after this `sequence` again.' }),
      },
      {
        title: 'ReplayAfterPosition',
        additionalProperties: false,
        description: 'Sends events after a position again.',
      },
    ),
    Type.Object(
      {
        since: requestedTime(
          'Send all events again that have occurred since. A few from shortly before may be among them.',
        ),
      },
      { title: 'ReplaySinceTime', additionalProperties: false, description: 'Sends events since a time again.' },
    ),
  ],
  { title: 'ReplayWebhookEvents', description: 'Position or time from which events are sent again.' },
);
export type ReplayWebhookEvents = Static<typeof ReplayWebhookEvents>;

export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;

const DeliveryState = Type.Enum(DELIVERY_STATES, {
  title: 'DeliveryState',
  description: '`pending`: another attempt follows at `next_attempt_at`. `failed`: all attempts were in vain.',
});

export const WebhookDelivery = Type.Object(
  {
    id: Id('webhookDelivery'),
    endpoint_id: Id('webhookEndpoint'),
    event_id: Id('event'),
    event_type: EventTypeName,
    state: DeliveryState,
    attempts: Type.Integer({ description: 'Number of attempts, since it was last replayed.' }),
    next_attempt_at: Nullable(Timestamp),
    first_attempt_at: Nullable(Timestamp),
    last_attempt_at: Nullable(Timestamp),
    outcome: Nullable(
      Type.Enum(
        ['delivered', 'refused', 'timeout', 'connection_failed', 'no_allowed_address', 'event_pruned'] as const,
        {
          title: 'DeliveryOutcome',
          description:
            'What came of an attempt. `refused`: a status other than 2xx. `no_allowed_address`: the name has no ' +
            'address that requests may go to. `event_pruned`: the event was deleted before it could be sent.',
        },
      ),
    ),
    status_code: Nullable(Type.Integer({ description: 'The status of the last answer; null if there was none.' })),
    latency_ms: Nullable(Type.Number({ description: 'How long the last attempt took.' })),
  },
  { title: 'WebhookDelivery', description: 'An event that is sent to a webhook endpoint, with its attempts.' },
);
export type WebhookDelivery = Static<typeof WebhookDelivery>;

export const WebhookEndpointParams = Type.Object({ id: Id('webhookEndpoint') });
export const WebhookDeliveryParams = Type.Object({ id: Id('webhookEndpoint'), delivery_id: Id('webhookDelivery') });

export const ListWebhookEndpoints = Type.Object(
  { ...PageQuery.properties, tenant_id: Type.Optional(Id('tenant')) },
  { additionalProperties: false },
);
export type ListWebhookEndpoints = Static<typeof ListWebhookEndpoints>;

export const ListWebhookDeliveries = Type.Object(
  { ...PageQuery.properties, state: Type.Optional(DeliveryState) },
  { additionalProperties: false },
);
export type ListWebhookDeliveries = Static<typeof ListWebhookDeliveries>;
