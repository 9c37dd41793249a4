import Type, { type Static } from 'typebox';
import { labelsOf } from '../../platform/contract/labels.ts';
import { MAX_URL } from '../../platform/outgoing/target.ts';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { ErrorOf, Id, Name, Nullable, Timestamp } from '../../platform/contract/schemas.ts';
import { ENGINES } from './engines/create-engine.ts';

const DEFAULT_UNLOAD_AFTER_MS = 600_000;
const DEFAULT_MAX_ADAPTERS = 1000;
/**
 * Largest number of adapters that a replica can be set to serve. Engines hold fewer adapters, and a list of so many can
 * still be read from an engine.
 */
const MOST_ADAPTERS = 20_000;

const Engine = Type.Enum(ENGINES, {
  title: 'Engine',
  description: '`vllm` needs `VLLM_ALLOW_RUNTIME_LORA_UPDATING`, `sglang` needs `--enable-lora`.',
});

const Check = Type.Enum(['gate_prompt', 'none'] as const, {
  title: 'ReplicaCheck',
  description:
    '`gate_prompt`: before an adapter serves, the engine completes up to three prompts of its gate rows with and ' +
    'without it, and has to answer otherwise. `none`: what the engine lists counts as loaded.',
});

const ReplicaState = Type.Enum(['syncing', 'in_sync', 'failed', 'unreachable'] as const, {
  title: 'ReplicaState',
  description:
    '`syncing`: adapters are loaded or unloaded. `in_sync`: it serves all that it should. `failed`: it answers, and ' +
    'something could not be loaded. `unreachable`: it does not answer. In all states the service goes on trying.',
});

const Url = Type.String({
  minLength: 1,
  maxLength: MAX_URL,
  description:
    'Where the engine answers, without `/v1`: `http://vllm-0.vllm.svc.cluster.local:8000`. One process, not a ' +
    'balancer before several. Addresses that are not public need a range in `READAPT_REPLICA_ALLOWED_RANGES`.',
});

const settings = {
  name: Name,
  url: Url,
  base_model_version_id: Id('baseModelVersion', 'The base model version that the engine serves.'),
  path_prefix: Type.String({
    minLength: 1,
    maxLength: 1000,
    pattern: '^/[^\\u0000-\\u001f]*$',
    description: 'The folder in which the engine finds adapters by their engine names, as the engine sees it.',
  }),
  api_key: Type.Union([Type.String({ minLength: 1, maxLength: 1000 }), Type.Null()], {
    description: 'The key that the engine asks for. It is stored encrypted, and never shown.',
  }),
  max_adapters: Type.Integer({
    minimum: 1,
    maximum: MOST_ADAPTERS,
    default: DEFAULT_MAX_ADAPTERS,
    description: 'Largest number of adapters that are loaded, besides versions that are about to be unloaded.',
  }),
  aliases: Type.Boolean({
    default: true,
    description:
      'Whether an adapter is also loaded under its name without a number, which moves to the current version.',
  }),
  check: Check,
  tenant_ids: Type.Array(Id('tenant'), {
    maxItems: 1000,
    uniqueItems: true,
    description: 'Whose adapters it serves; none stands for all tenants.',
  }),
  labels: labelsOf({ description: 'The labels that adapters must have to be served; none stands for all adapters.' }),
  unload_after_ms: Type.Integer({
    minimum: 0,
    maximum: 86_400_000,
    default: DEFAULT_UNLOAD_AFTER_MS,
    description: 'How long a version stays loaded after its successor serves.',
  }),
};

const { api_key: ApiKey, ...shown } = settings;

export const Replica = Type.Object(
  {
    id: Id('replica'),
    engine: Engine,
    ...shown,
    has_api_key: Type.Boolean({ description: 'Whether an API key is stored.' }),
    state: ReplicaState,
    error: Nullable(ErrorOf('Why it is `failed` or `unreachable`.')),
    desired: Type.Integer({ description: 'Number of adapters that it should serve.' }),
    loaded: Type.Integer({ description: 'Number of those that it serves in the current version.' }),
    failed: Type.Integer({ description: 'Number of those whose current version could not be loaded.' }),
    last_seen_at: Nullable(Timestamp),
    in_sync_at: Nullable(Timestamp),
    created_at: Timestamp,
  },
  {
    title: 'Replica',
    description: 'A running process of a serving engine, in which the service loads and unloads adapters.',
  },
);
export type Replica = Static<typeof Replica>;

export const CreateReplica = Type.Object(
  {
    engine: Engine,
    name: settings.name,
    url: settings.url,
    base_model_version_id: settings.base_model_version_id,
    path_prefix: settings.path_prefix,
    api_key: Type.Optional(ApiKey),
    max_adapters: Type.Optional(settings.max_adapters),
    aliases: Type.Optional(settings.aliases),
    check: Type.Optional(Check),
    tenant_ids: Type.Optional(settings.tenant_ids),
    labels: Type.Optional(settings.labels),
    unload_after_ms: Type.Optional(settings.unload_after_ms),
  },
  { title: 'CreateReplica', description: 'What a replica is added with.', additionalProperties: false },
);
export type CreateReplica = Static<typeof CreateReplica>;

export const UpdateReplica = Type.Object(
  {
    name: Type.Optional(settings.name),
    url: Type.Optional(settings.url),
    base_model_version_id: Type.Optional(settings.base_model_version_id),
    path_prefix: Type.Optional(settings.path_prefix),
    api_key: Type.Optional(ApiKey),
    max_adapters: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_ADAPTERS })),
    aliases: Type.Optional(Type.Boolean()),
    check: Type.Optional(Check),
    tenant_ids: Type.Optional(settings.tenant_ids),
    labels: Type.Optional(settings.labels),
    unload_after_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })),
  },
  {
    title: 'UpdateReplica',
    description: 'What a replica has from now on. What is left out stays as it is.',
    additionalProperties: false,
    minProperties: 1,
  },
);
export type UpdateReplica = Static<typeof UpdateReplica>;

export const REPLICA_ADAPTER_STATES = ['waiting', 'checking', 'loaded', 'failed', 'retiring'] as const;

const ReplicaAdapterState = Type.Enum(REPLICA_ADAPTER_STATES, {
  title: 'ReplicaAdapterState',
  description:
    '`waiting`: it is to be loaded. `checking`: the engine is asked to load it and may list it already, but has not ' +
    'been seen to use it. `loaded`: it serves, and has passed its check if there is one. `failed`: it could not be ' +
    'loaded or has not passed its check, was unloaded, and is tried again at `next_attempt_at`. `retiring`: it is no ' +
    'longer current, and is unloaded at `unload_at`.',
});

export const ReplicaAdapter = Type.Object(
  {
    id: Id('replicaAdapter'),
    engine_name: Type.String({ description: 'What the engine calls it: `acme.support@3`.' }),
    tenant_id: Nullable(Id('tenant', 'Whose adapter it is; null for a name that was found there.')),
    adapter_id: Nullable(Id('adapter')),
    adapter_version_id: Nullable(Id('adapterVersion')),
    state: ReplicaAdapterState,
    attempts: Type.Integer({ description: 'Number of attempts in a row that have failed.' }),
    error: Nullable(ErrorOf('Why the last attempt has failed.')),
    next_attempt_at: Nullable(Timestamp),
    checked_at: Nullable(Timestamp),
    unload_at: Nullable(Timestamp),
  },
  { title: 'ReplicaAdapter', description: 'A version of an adapter that a replica has loaded or should load.' },
);
export type ReplicaAdapter = Static<typeof ReplicaAdapter>;

export const ReplicaParams = Type.Object({ id: Id('replica') });

export const ListReplicaAdapters = Type.Object(
  { ...PageQuery.properties, state: Type.Optional(ReplicaAdapterState) },
  { additionalProperties: false },
);
export type ListReplicaAdapters = Static<typeof ListReplicaAdapters>;

/** Settings of a new replica for which its request has no value. */
export const REPLICA_DEFAULTS = {
  maxAdapters: DEFAULT_MAX_ADAPTERS,
  aliases: true,
  check: 'gate_prompt',
  tenantIds: [] as string[],
  labels: {},
  unloadAfterMs: DEFAULT_UNLOAD_AFTER_MS,
} as const;
