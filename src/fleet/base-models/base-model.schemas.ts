import Type, { type Static } from 'typebox';
import { BASE_NAME_EXPECTED, BASE_NAME_PATTERN, MAX_BASE_NAME } from '../../../core/options/base-names.ts';
import { ServingProfile } from '../../../core/options/serving-profile.ts';
import { ErrorOf, Id, Name, Nullable, requestedTime, Timestamp, used } from '../../platform/contract/schemas.ts';
import { Forecast } from '../forecasts/index.ts';
import { RolloutPolicy, Rollout, RolloutOptions } from '../rollouts/index.ts';
import { BaseSource, GivenBaseSource } from './source.schemas.ts';

const { selection: _selection, deadline: _deadline, ...DEFAULTS } = RolloutPolicy.properties;
const DefaultPolicy = Type.Object(DEFAULTS, {
  title: 'DefaultRolloutPolicy',
  additionalProperties: false,
  description: 'The policy of its rollouts that name none of their own.',
});

const Profile = Nullable(
  used(ServingProfile, {
    description: 'What its engines accept of an adapter; null if they accept everything.',
  }),
);

export const BaseModelResource = Type.Object(
  {
    id: Id('baseModel'),
    name: Name,
    policy: Nullable(DefaultPolicy),
    serving_profile: Profile,
    created_at: Timestamp,
  },
  { title: 'BaseModel', description: 'A base model, of which there are versions.' },
);
export type BaseModelResource = Static<typeof BaseModelResource>;

export const CreateBaseModel = Type.Object(
  { name: Name, policy: Type.Optional(DefaultPolicy), serving_profile: Type.Optional(ServingProfile) },
  { title: 'CreateBaseModel', description: 'What a base model is created with.', additionalProperties: false },
);
export type CreateBaseModel = Static<typeof CreateBaseModel>;

export const UpdateBaseModel = Type.Object(
  { policy: Type.Optional(Nullable(DefaultPolicy)), serving_profile: Type.Optional(Profile) },
  {
    title: 'UpdateBaseModel',
    minProperties: 1,
    additionalProperties: false,
    description: 'What a base model has from now on; what is left out stays as it is.',
  },
);
export type UpdateBaseModel = Static<typeof UpdateBaseModel>;

export const BaseModelParams = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
});

const RetiresAt = requestedTime(
  'When the version is no longer served. Nothing happens by itself then; `…/at-risk` says what it would hit.',
);

export const BaseModelVersion = Type.Object(
  {
    id: Id('baseModelVersion'),
    base_model_id: Id('baseModel'),
    base_model_name: Name,
    version: Name,
    path: Nullable(
      Type.String({
        description:
          'Folder of the model files. It is null for tenants and engines, and where they come from elsewhere.',
      }),
    ),
    source: Nullable(BaseSource),
    serving_name: Nullable(
      Type.String({
        description:
          'What serving engines call this version. Adapters published for it have it as `base_model_name_or_path`. ' +
          'It is null for tenants if it is an absolute path.',
      }),
    ),
    state: Type.Enum(['registered', 'verified', 'failed'] as const, {
      title: 'BaseModelVersionState',
      description:
        'registered: only config.json was read. verified: all files were read. failed: the files cannot ' +
        'be used, see `error`.',
    }),
    architecture: Nullable(Type.String({ description: 'The `model_type` of config.json.' })),
    fingerprint: Nullable(Type.String({ description: 'Digest of the model files; null until they are verified.' })),
    parameters: Nullable(Type.Integer({ description: 'Number of parameters; null until the files are verified.' })),
    error: Nullable(ErrorOf('Why the files cannot be used.')),
    retires_at: Nullable(RetiresAt),
    created_at: Timestamp,
  },
  { title: 'BaseModelVersion', description: 'A version of a base model: a set of model files.' },
);
export type BaseModelVersion = Static<typeof BaseModelVersion>;

export const CreateBaseModelVersion = Type.Object(
  {
    version: Name,
    path: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description:
          'Absolute path of a Hugging Face model folder below one of the allowed roots. Either this or ' +
          '`source` is given.',
      }),
    ),
    source: Type.Optional(GivenBaseSource),
    serving_name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_BASE_NAME,
        pattern: BASE_NAME_PATTERN,
        description:
          'What serving engines call this version: the exact text of `--model` of vLLM, or a name or path that ' +
          'PEFT can load it from. Adapters published for it have it as `base_model_name_or_path`, which their ' +
          'tenants can read. By default it is `path` as it is given, `org/name` of a hub, ' +
          `\`s3://bucket/prefix\`, or \`upload://bmu_…\`, which no engine can load. ${BASE_NAME_EXPECTED}.`,
      }),
    ),
    rollout_options: Type.Optional(
      used(RolloutOptions, { description: 'How the fleet is carried over, where the version starts a rollout.' }),
    ),
    start_rollout: Type.Optional(
      Type.Boolean({
        description:
          'False only registers the version; `POST /v1/rollouts` carries the fleet over later. Without it, true.',
      }),
    ),
    rollout: Type.Optional(
      Type.Union([Type.Literal(false), RolloutOptions], {
        deprecated: true,
        description:
          'What `rollout_options` and, if it is false, `start_rollout` say in one member, for which generators ' +
          'make clumsy types. It cannot be given beside them.',
      }),
    ),
    retires_at: Type.Optional(RetiresAt),
    dry_run: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Registers the version and asks what the rollout would do, as `POST /v1/rollout-forecasts` does, in ' +
          'place of beginning it. `POST /v1/rollouts` begins it later.',
      }),
    ),
  },
  {
    title: 'CreateBaseModelVersion',
    description: 'What a version of a base model is registered with.',
    additionalProperties: false,
  },
);
export type CreateBaseModelVersion = Static<typeof CreateBaseModelVersion>;

export const CreatedBaseModelVersion = Type.Object(
  { base_model_version: BaseModelVersion, rollout: Nullable(Rollout), forecast: Nullable(Forecast) },
  {
    title: 'CreatedBaseModelVersion',
    description: 'The version that was registered, with the rollout or the forecast that it has begun.',
  },
);
export type CreatedBaseModelVersion = Static<typeof CreatedBaseModelVersion>;

export const UpdateBaseModelVersion = Type.Object(
  { retires_at: Nullable(RetiresAt) },
  {
    title: 'UpdateBaseModelVersion',
    description: 'What a base model version has from now on.',
    additionalProperties: false,
  },
);
export type UpdateBaseModelVersion = Static<typeof UpdateBaseModelVersion>;

const AtRiskTenant = Type.Object(
  { tenant_id: Id('tenant'), adapters: Type.Integer({ description: 'Number of its adapters that are at risk.' }) },
  { title: 'AtRiskTenant', description: 'A tenant with adapters that are at risk.' },
);

export const AtRisk = Type.Object(
  {
    base_model_version_id: Id('baseModelVersion'),
    retires_at: Nullable(RetiresAt),
    adapters: Type.Integer({
      description:
        'Number of adapters that have a current version on this base model version, and none on one that ' +
        'is served for longer.',
    }),
    tenant_count: Type.Integer({ description: 'Number of tenants that they belong to.' }),
    tenants: Type.Array(AtRiskTenant, {
      description: 'The tenants with the most of them, 1,000 at the most.',
    }),
  },
  { title: 'AtRisk', description: 'Who would be without a served adapter when a base model version retires.' },
);
export type AtRisk = Static<typeof AtRisk>;

export const BaseModelVersionParams = Type.Object({ id: Id('baseModelVersion') });
