import type { Static } from 'typebox';
import type { IdKind } from '../../../platform/contract/ids.ts';
import { ACCOUNT_EVENTS } from './account-events.ts';
import { FLEET_EVENTS } from './fleet-events.ts';
import { MODEL_EVENTS } from './model-events.ts';
import { REPLICA_EVENTS } from './replica-events.ts';
import { UPLOAD_EVENTS } from './upload-events.ts';
import { WEBHOOK_EVENTS } from './webhook-events.ts';

/** Every type of event that this version records. A type that is not here cannot be recorded. */
export const EVENT_CATALOG = {
  ...FLEET_EVENTS,
  ...MODEL_EVENTS,
  ...ACCOUNT_EVENTS,
  ...WEBHOOK_EVENTS,
  ...REPLICA_EVENTS,
  ...UPLOAD_EVENTS,
};

export type EventType = keyof typeof EVENT_CATALOG;
export type EventData<T extends EventType> = Static<(typeof EVENT_CATALOG)[T]['data']>;

export const EVENT_TYPES = Object.keys(EVENT_CATALOG) as EventType[];

/** Kind of identifier that an event's subject has, by the part of the event type before the dot. */
const SUBJECTS = {
  rollout: 'rollout',
  rollout_forecast: 'forecast',
  job: 'job',
  base_model: 'baseModel',
  base_model_version: 'baseModelVersion',
  base_model_upload: 'baseModelUpload',
  evolution: 'evolution',
  dataset: 'dataset',
  adapter: 'adapter',
  adapter_version: 'adapterVersion',
  tenant: 'tenant',
  api_key: 'apiKey',
  worker: 'worker',
  webhook_endpoint: 'webhookEndpoint',
  replica: 'replica',
} as const satisfies Record<string, IdKind>;

type SubjectOf<T extends string> = T extends `${infer S}.${string}` ? S : never;

/** Determines which kind of identifier the subject of an event type has, for example `job` for `job.ready`. */
export function subjectKind(type: EventType): IdKind {
  return SUBJECTS[type.split('.', 1)[0] as SubjectOf<EventType>];
}
