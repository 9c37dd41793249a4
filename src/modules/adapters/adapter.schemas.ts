import Type, { type Static } from 'typebox';
import { GateRule } from '../../../core/options/gates.ts';
import { METRICS } from '../../../core/options/metrics.ts';
import { PageQuery } from '../../lib/pagination.ts';
import { Id, Name, Nullable, Timestamp } from '../../lib/schemas.ts';

export const Metric = Type.Enum(METRICS, {
  description: '`accuracy` and `exact_match` are fractions, higher is better; `loss` is nats a token, lower is better.',
});

const BaseModelVersionReference = Type.String({
  minLength: 1,
  maxLength: 100,
  description: "Identifier of a version of the adapter's base model, or its version text.",
});

export const FolderSource = Type.Object(
  {
    base_model_version: BaseModelVersionReference,
    path: Type.String({ minLength: 1, maxLength: 4096, description: 'PEFT folder below one of the allowed roots.' }),
  },
  { title: 'AdapterFolder', additionalProperties: false },
);
export type FolderSource = Static<typeof FolderSource>;

export const CreateAdapter = Type.Object(
  {
    name: Name,
    base_model: Type.String({ minLength: 1, maxLength: 100, description: 'Identifier or name.' }),
    dataset_id: Id('dataset'),
    metric: Metric,
    gate: GateRule,
    source: Type.Optional(FolderSource),
    tenant_id: Type.Optional(Id('tenant', 'Whose adapter it is; for operators only.')),
  },
  { title: 'CreateAdapter', additionalProperties: false },
);
export type CreateAdapter = Static<typeof CreateAdapter>;

export const AdapterVersion = Type.Object(
  {
    id: Id('adapterVersion'),
    adapter_id: Id('adapter'),
    tenant_id: Id('tenant'),
    number: Type.Integer({ description: 'Counts up from 1 within the adapter.' }),
    base_model_version_id: Id('baseModelVersion'),
    parent_version_id: Nullable(Id('adapterVersion')),
    origin: Type.String({ description: '`imported` or `adapted`.' }),
    digest: Type.String({ description: 'Of the folder; the ETag of the download.' }),
    rank: Type.Integer(),
    lora_alpha: Type.Number(),
    strategy: Nullable(Type.String()),
    fusion_alpha: Nullable(Type.Number()),
    fusion_beta: Nullable(Type.Number()),
    metrics: Nullable(Type.Record(Type.String(), Type.Unknown())),
    job_id: Nullable(Id('job')),
    created_at: Timestamp,
  },
  { title: 'AdapterVersion' },
);
export type AdapterVersion = Static<typeof AdapterVersion>;

export const Adapter = Type.Object(
  {
    id: Id('adapter'),
    tenant_id: Id('tenant'),
    name: Name,
    base_model_id: Id('baseModel'),
    base_model_name: Name,
    dataset_id: Nullable(Id('dataset')),
    metric: Metric,
    gate: GateRule,
    latest_version: Nullable(AdapterVersion),
    created_at: Timestamp,
  },
  { title: 'Adapter' },
);
export type Adapter = Static<typeof Adapter>;

export const ARCHIVE_TYPE = 'application/x-tar';

export const CreateVersionQuery = Type.Object(
  { base_model_version: Type.Optional(BaseModelVersionReference) },
  { additionalProperties: false },
);

/** The archive is a stream at run time and is checked by the service. */
export const CreateVersionBody = {
  content: {
    'application/json': { schema: FolderSource },
    [ARCHIVE_TYPE]: {
      schema: Type.Any({
        description: `A tar archive, not compressed, of a PEFT folder: adapter_config.json, adapter_model.safetensors and
optionally README.md and readapt.json, at the top or in one folder.`,
      }),
    },
  },
};

export const ListAdaptersQuery = Type.Object(
  { ...PageQuery.properties, tenant_id: Type.Optional(Id('tenant')), name: Type.Optional(Name) },
  { additionalProperties: false },
);
export type ListAdaptersQuery = Static<typeof ListAdaptersQuery>;

export const AdapterParams = Type.Object({ id: Id('adapter') });
export const AdapterVersionParams = Type.Object({ id: Id('adapter'), version_id: Id('adapterVersion') });

/** The archive of a version, as a stream. */
export const VersionArchive = {
  description: 'Tar archive of the PEFT folder.',
  content: { [ARCHIVE_TYPE]: { schema: Type.Any() } },
};
