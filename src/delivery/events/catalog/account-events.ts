import Type from 'typebox';
import { Id, Nullable, Timestamp } from '../../../platform/contract/schemas.ts';
import { describeEventType } from './describe-event.ts';

const name = Type.String();
const Limit = Type.Optional(Nullable(Type.Integer({ description: 'Null is no limit.' })));

/** Events of tenants, their keys, and workers. */
export const ACCOUNT_EVENTS = {
  'tenant.created': describeEventType('A tenant was created.', { name }),
  'tenant.quotas_changed': describeEventType(
    'A tenant was given limits of its own; those left out are the default ones.',
    {
      adapters: Limit,
      stored_bytes: Limit,
      dataset_rows: Limit,
      queued_jobs: Limit,
      device_seconds: Limit,
      api_keys: Limit,
      requests_per_minute: Type.Optional(Type.Integer()),
    },
  ),
  'tenant.deleted': describeEventType('A tenant was deleted. It can be undeleted until it is collected.', {}),
  'tenant.undeleted': describeEventType('A deleted tenant was brought back.', { name }),
  'tenant.collected': describeEventType('A deleted tenant is gone with everything that it had.', {}),
  'api_key.created': describeEventType('An API key was created.', { name, scopes: Type.Array(Type.String()) }),
  'api_key.rotated': describeEventType('An API key was replaced by another one; both work until it expires.', {
    name,
    successor_id: Id('apiKey'),
    expires_at: Nullable(Timestamp),
  }),
  'api_key.revoked': describeEventType('An API key was revoked.', { name }),
  'worker.drain_requested': describeEventType('A worker was asked to finish and stop.', {}),
  'worker.idle_requested': describeEventType(
    'A worker was asked to finish its job and to take no other until it is released.',
    {},
  ),
  'worker.released': describeEventType('A worker that was drained takes jobs again.', {}),
  'worker.quarantine_lifted': describeEventType('The quarantine of a worker was lifted.', {}),
} as const;
