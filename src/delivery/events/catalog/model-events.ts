import Type from 'typebox';
import { labelsOf } from '../../../platform/contract/labels.ts';
import { AdapterApproval, Id, Metric, Nullable, Timestamp } from '../../../platform/contract/schemas.ts';
import { describeEventType, Failure, ObjectLike } from './describe-event.ts';

const name = Type.String();
const digest = Type.String({ description: 'SHA-256 of the files.' });
const host = Type.String({ description: 'The machine of the worker.' });
const VersionOfAdapter = {
  adapter_id: Id('adapter'),
  number: Type.Integer({ description: 'The versions of an adapter are numbered from 1.' }),
};

/** Events of base models, datasets and adapters. */
export const MODEL_EVENTS = {
  'base_model.created': describeEventType('A base model was created.', { name }),
  'base_model.updated': describeEventType(
    'A base model has another policy for later rollouts, or another serving profile.',
    {
      policy: Nullable(ObjectLike('The policy, as `RolloutPolicy` describes it.')),
      serving_profile: Type.Optional(Nullable(ObjectLike('The serving profile, as `ServingProfile` describes it.'))),
    },
  ),
  'base_model_version.registered': describeEventType('A version of a base model was registered.', {
    base_model_name: name,
    version: Type.String(),
  }),
  'base_model_version.verified': describeEventType('The files of a base model version were read and can be used.', {
    fingerprint: Type.String(),
  }),
  'base_model_version.failed': describeEventType('The files of a base model version cannot be used.', {
    error: Failure,
  }),
  'base_model_version.fetching': describeEventType(
    'A worker has begun to fetch the files of a base model version, or goes on.',
    {
      host,
      bytes_done: Type.Integer({ description: 'Bytes that were there already.' }),
      bytes_total: Type.Integer(),
    },
  ),
  'base_model_version.fetched': describeEventType('A worker has the files of a base model version in its cache.', {
    host,
    bytes_total: Type.Integer(),
    fetch_ms: Type.Number({ description: 'How long it took, without earlier attempts, in milliseconds.' }),
  }),
  'base_model_version.not_fetched': describeEventType('A worker could not fetch the files of a base model version.', {
    host,
    error: Failure,
  }),
  'base_model_version.updated': describeEventType('A base model version retires at another time than before, or not.', {
    retires_at: Nullable(Timestamp),
  }),
  'evolution.ready': describeEventType('What has changed between two base model versions is computed.', {
    old_base_model_version_id: Id('baseModelVersion'),
    new_base_model_version_id: Id('baseModelVersion'),
    drift: Type.Number({ description: 'Norm of the change over that of the old weights.' }),
    rank: Type.Integer(),
  }),
  'dataset.created': describeEventType('A dataset was uploaded.', { name, rows: Type.Integer(), digest }),
  'dataset.deleted': describeEventType('A dataset was deleted.', { name }),
  'dataset.undeleted': describeEventType('A deleted dataset was brought back.', { name }),
  'adapter.created': describeEventType('An adapter was created.', {
    name,
    base_model_id: Id('baseModel'),
    dataset_id: Nullable(Id('dataset')),
  }),
  'adapter.updated': describeEventType('An adapter has other settings; those that are left out stay as they were.', {
    dataset_id: Type.Optional(Nullable(Id('dataset'))),
    gate: Type.Optional(ObjectLike('The gate, as `Adapter` describes it.')),
    labels: Type.Optional(labelsOf({ description: 'All labels of the adapter.' })),
    pinned_base_model_version_id: Type.Optional(Nullable(Id('baseModelVersion'))),
    approval: Type.Optional(AdapterApproval),
  }),
  'adapter.deleted': describeEventType('An adapter was deleted with its versions.', { name }),
  'adapter.undeleted': describeEventType('A deleted adapter was brought back.', { name }),
  'adapter.current_moved': describeEventType(
    'Another version of an adapter should be served on a base model version.',
    {
      base_model_version_id: Id('baseModelVersion'),
      from: Nullable(Id('adapterVersion')),
      to: Nullable(Id('adapterVersion')),
      rollout_id: Type.Optional(Id('rollout', 'The rollout that was rolled back, if one was.')),
    },
  ),
  'adapter.anchor_moved': describeEventType('The margin of the gate counts from another version than before.', {
    version_id: Id('adapterVersion', 'The version that was published.'),
    from: Nullable(Id('adapterVersion')),
    anchor_version_id: Id('adapterVersion'),
  }),
  'adapter_version.imported': describeEventType('A version of an adapter was imported.', {
    ...VersionOfAdapter,
    digest,
    rank: Type.Integer(),
    lora_alpha: Type.Number(),
    targets: Type.Array(Type.String(), { description: 'The modules that the LoRA changes.' }),
    parameters: Type.Integer({ description: 'Number of parameters of the LoRA.' }),
  }),
  'adapter_version.provisional': describeEventType('An adapter got a provisional version, before its job begins.', {
    ...VersionOfAdapter,
    digest,
    strategy: Type.String({ description: 'How it was made: `revert` or `reuse`.' }),
    job_id: Id('job'),
    rollout_id: Id('rollout'),
  }),
  'adapter_version.measured': describeEventType('A version was measured on the gate rows, ahead of the next rollout.', {
    ...VersionOfAdapter,
    metric: Metric,
    value: Type.Number(),
  }),
  'adapter_version.not_measured': describeEventType('A version could not be measured; the next job would fail alike.', {
    ...VersionOfAdapter,
    error: Failure,
  }),
  'adapter_version.deleted': describeEventType('A version of an adapter was deleted.', VersionOfAdapter),
  'adapter_version.undeleted': describeEventType('A deleted version of an adapter was brought back.', VersionOfAdapter),
} as const;
