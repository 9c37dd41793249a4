import Type from 'typebox';
import { labelsOf } from '../../../platform/contract/labels.ts';
import { AdapterApproval, Id, Metric, Nullable, Timestamp } from '../../../platform/contract/schemas.ts';
import { describeEvent, Failure, ObjectLike } from './describe-event.ts';

const name = Type.String();
const digest = Type.String({ description: 'SHA-256 of the files.' });
const host = Type.String({ description: 'The machine of the worker.' });
const VersionOfAdapter = {
  adapter_id: Id('adapter'),
  number: Type.Integer({ description: 'The versions of an adapter are numbered from 1.' }),
};

/** Events of base models, datasets and adapters. */
export const MODEL_EVENTS = {
  'base_model.created': describeEvent('A base model was created.', { name }),
  'base_model.updated': describeEvent(
    'A base model has another policy for later rollouts, or another serving profile.',
    {
      policy: Nullable(ObjectLike('The policy, as `RolloutPolicy` describes it.')),
      serving_profile: Type.Optional(Nullable(ObjectLike('The serving profile, as `ServingProfile` describes it.'))),
    },
  ),
  'base_model_version.registered': describeEvent('A version of a base model was registered.', {
    base_model_name: name,
    version: Type.String(),
  }),
  'base_model_version.verified': describeEvent('The files of a base model version were read and can be used.', {
    fingerprint: Type.String(),
  }),
  'base_model_version.failed': describeEvent('The files of a base model version cannot be used.', { error: Failure }),
  'base_model_version.fetching': describeEvent(
    'A worker has begun to fetch the files of a base model version, or goes on.',
    {
      host,
      bytes_done: Type.Integer({ description: 'Bytes that were there already.' }),
      bytes_total: Type.Integer(),
    },
  ),
  'base_model_version.fetched': describeEvent('A worker has the files of a base model version in its cache.', {
    host,
    bytes_total: Type.Integer(),
    fetch_ms: Type.Number({ description: 'How long it took, without earlier attempts, in milliseconds.' }),
  }),
  'base_model_version.not_fetched': describeEvent('A worker could not fetch the files of a base model version.', {
    host,
    error: Failure,
  }),
  'base_model_version.updated': describeEvent('A base model version retires at another time than before, or not.', {
    retires_at: Nullable(Timestamp),
  }),
  'evolution.ready': describeEvent('What has changed between two base model versions is computed.', {
    old_base_model_version_id: Id('baseModelVersion'),
    new_base_model_version_id: Id('baseModelVersion'),
    drift: Type.Number({ description: 'Norm of the change over that of the old weights.' }),
    rank: Type.Integer(),
  }),
  'dataset.created': describeEvent('A dataset was uploaded.', { name, rows: Type.Integer(), digest }),
  'dataset.deleted': describeEvent('A dataset was deleted.', { name }),
  'dataset.undeleted': describeEvent('A deleted dataset was brought back.', { name }),
  'adapter.created': describeEvent('An adapter was created.', {
    name,
    base_model_id: Id('baseModel'),
    dataset_id: Nullable(Id('dataset')),
  }),
  'adapter.updated': describeEvent('An adapter has other settings; those that are left out stay as they were.', {
    dataset_id: Type.Optional(Nullable(Id('dataset'))),
    gate: Type.Optional(ObjectLike('The gate, as `Adapter` describes it.')),
    labels: Type.Optional(labelsOf({ description: 'All labels of the adapter.' })),
    pinned_base_model_version_id: Type.Optional(Nullable(Id('baseModelVersion'))),
    approval: Type.Optional(AdapterApproval),
  }),
  'adapter.deleted': describeEvent('An adapter was deleted with its versions.', { name }),
  'adapter.undeleted': describeEvent('A deleted adapter was brought back.', { name }),
  'adapter.current_moved': describeEvent('Another version of an adapter should be served on a base model version.', {
    base_model_version_id: Id('baseModelVersion'),
    from: Nullable(Id('adapterVersion')),
    to: Nullable(Id('adapterVersion')),
    rollout_id: Type.Optional(Id('rollout', 'The rollout that was rolled back, if one was.')),
  }),
  'adapter.anchor_moved': describeEvent('The margin of the gate counts from another version than before.', {
    version_id: Id('adapterVersion', 'The version that was published.'),
    from: Nullable(Id('adapterVersion')),
    anchor_version_id: Id('adapterVersion'),
  }),
  'adapter_version.imported': describeEvent('A version of an adapter was imported.', {
    ...VersionOfAdapter,
    digest,
    rank: Type.Integer(),
    lora_alpha: Type.Number(),
    targets: Type.Array(Type.String(), { description: 'The modules that the LoRA changes.' }),
    parameters: Type.Integer({ description: 'Number of parameters of the LoRA.' }),
  }),
  'adapter_version.provisional': describeEvent('An adapter got a provisional version, before its job begins.', {
    ...VersionOfAdapter,
    digest,
    strategy: Type.String({ description: 'How it was made: `revert` or `reuse`.' }),
    job_id: Id('job'),
    rollout_id: Id('rollout'),
  }),
  'adapter_version.measured': describeEvent('A version was measured on the gate rows, ahead of the next rollout.', {
    ...VersionOfAdapter,
    metric: Metric,
    value: Type.Number(),
  }),
  'adapter_version.not_measured': describeEvent('A version could not be measured; the next job would fail alike.', {
    ...VersionOfAdapter,
    error: Failure,
  }),
  'adapter_version.deleted': describeEvent('A version of an adapter was deleted.', VersionOfAdapter),
  'adapter_version.undeleted': describeEvent('A deleted version of an adapter was brought back.', VersionOfAdapter),
} as const;
