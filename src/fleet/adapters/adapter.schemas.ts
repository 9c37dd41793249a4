import Type, { type Static } from 'typebox';
import { AdapterOptions } from '../../../core/options/adapter-options.ts';
import { GateRule } from '../../../core/options/gates.ts';
import { GateAdviceResource } from '../datasets/index.ts';
import { labelQueryOf, labelsOf } from '../../platform/contract/labels.ts';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { sortOf } from '../../platform/contract/sorting.ts';
import {
  AdapterApproval,
  Binary,
  contentOf,
  Id,
  Metric,
  Name,
  Nullable,
  StrategySchema,
  Timestamp,
  used,
} from '../../platform/contract/schemas.ts';
import { GivenAdapterSource, ImportedFrom } from './sources/source.schemas.ts';

/**
 * Largest number of current versions that an answer about an adapter shows; an adapter has one for each base model
 * version.
 */
export const CURRENT_SHOWN = 20;

const Labels = labelsOf({ description: 'Labels by which lists, rollouts and waves choose adapters.' });

const Pin = Nullable(
  Id(
    'baseModelVersion',
    'The version of the base model to which it is pinned: no rollout to another one takes it. Pinned to the one that ' +
      'it is on, it is left out of rollouts. Null if it is not pinned.',
  ),
);

const BaseModelVersionReference = Type.String({
  minLength: 1,
  maxLength: 100,
  description: "A version of the adapter's base model: its identifier or its version text.",
});

export const AdapterFiles = Type.Object(
  {
    base_model_version: BaseModelVersionReference,
    path: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description:
          'Absolute path of a PEFT folder below one of the allowed roots. Either `path` or `source` is given.',
      }),
    ),
    source: Type.Optional(GivenAdapterSource),
  },
  {
    title: 'AdapterFiles',
    description: 'Where a PEFT folder is, and the base model version that the adapter was trained on.',
    additionalProperties: false,
  },
);
export type AdapterFiles = Static<typeof AdapterFiles>;

export const CreateAdapter = Type.Object(
  {
    name: Name,
    base_model: Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
    dataset_id: Id('dataset', 'The dataset with the rows of the task.'),
    metric: Metric,
    gate: GateRule,
    ...Type.Partial(AdapterOptions).properties,
    labels: Type.Optional(Labels),
    pinned_base_model_version_id: Type.Optional(Pin),
    approval: Type.Optional(AdapterApproval),
    source: Type.Optional(AdapterFiles),
    tenant_id: Type.Optional(
      Id('tenant', 'The owner of the adapter. Operators have to name it; others may leave it out.'),
    ),
  },
  { title: 'CreateAdapter', description: 'What an adapter is created with.', additionalProperties: false },
);
export type CreateAdapter = Static<typeof CreateAdapter>;

export const UpdateAdapter = Type.Object(
  {
    dataset_id: Type.Optional(
      Nullable(Id('dataset', 'The dataset that it has from now on; null takes its dataset away.')),
    ),
    gate: Type.Optional(GateRule),
    labels: Type.Optional(labelsOf({ description: 'All labels that it has from now on, in place of those before.' })),
    pinned_base_model_version_id: Type.Optional(Pin),
    approval: Type.Optional(AdapterApproval),
  },
  {
    title: 'UpdateAdapter',
    minProperties: 1,
    additionalProperties: false,
    description: 'Changes of an adapter. Members that are left out stay as they are.',
  },
);
export type UpdateAdapter = Static<typeof UpdateAdapter>;

export const AdapterVersion = Type.Object(
  {
    id: Id('adapterVersion'),
    adapter_id: Id('adapter'),
    tenant_id: Id('tenant'),
    number: Type.Integer({ description: 'The versions of an adapter are numbered from 1.' }),
    base_model_version_id: Id('baseModelVersion', 'The base model version that this version is for.'),
    parent_version_id: Nullable(Id('adapterVersion', 'The version that it was carried over from; null if imported.')),
    origin: Type.Enum(['imported', 'adapted'] as const, {
      title: 'VersionOrigin',
      description: 'Whether its tenant has imported it, or a job has carried it over.',
    }),
    source: Nullable(ImportedFrom),
    provisional: Type.Boolean({
      description:
        'Whether nobody has measured it: it was made without data, to be served until a version is published.',
    }),
    digest: Type.String({
      description:
        'SHA-256 over the names, sizes and SHA-256 of the files, which is also the ETag of the download: that of the ' +
        'text `readapt folder 1`, an end of line, and for each file, by name, a line `["NAME",BYTES,"SHA-256"]`. ' +
        'docs/api.md has the command.',
    }),
    rank: Type.Integer({ description: 'The rank of the LoRA.' }),
    lora_alpha: Type.Number({ description: "The numerator of LoRA's scaling, `lora_alpha` in PEFT." }),
    strategy: Nullable(used(StrategySchema, { description: 'The strategy that produced it; null if imported.' })),
    fusion_alpha: Nullable(Type.Number({ description: 'The fusion coefficient α; null if it was not fused.' })),
    fusion_beta: Nullable(Type.Number({ description: 'The fusion coefficient β; null if it was not fused.' })),
    metrics: Nullable(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'What was measured on the gate rows when it was published: `metric`, `value`, `standard_error`, ' +
          '`bound` (the confidence bound, if the gate has a confidence), `certificate` (`verdict`, ' +
          '`confidence`, `margin`, `rows` of `available_rows`, `analyses`, `level`, `looks`, `rows_needed` and ' +
          'the critical `slices`, as of a job; null if the gate has no confidence), `negative_flips`, ' +
          '`examples` (the number of rows), `step` (optimizer steps), `data` (whether there were training rows), ' +
          '`judged_in` (the precision of the base in which this was measured: a gate with an absolute target is ' +
          'confirmed in `f32` wherever there is enough memory for it) and, if rows name slices, `slices` ' +
          '(`rows` and `value` of each). Null if ' +
          'imported.',
      }),
    ),
    gate_value: Nullable(
      Type.Number({
        description:
          'The metric on the gate rows and its own base, as it was published or else as it was measured ' +
          'last; null if it was not.',
      }),
    ),
    anchor: Nullable(
      Type.Object(
        {
          version_id: Id('adapterVersion', 'Version of the anchor. It may be deleted by now.'),
          number: Nullable(Type.Integer({ description: 'Its number.' })),
          value: Type.Number({ description: 'Its value on the same gate rows and its own base.' }),
          difference: Type.Number({
            description: '`gate_value` less `value`: how far the chain of versions has moved from it.',
          }),
        },
        {
          title: 'VersionAnchor',
          description:
            'The version that the margin of the gate counted from when this one was published, which is the one that ' +
            'was imported. Null if this one is imported, or if its gate has no margin.',
        },
      ),
    ),
    job_id: Nullable(Id('job', 'The job that published it; null if imported.')),
    created_at: Timestamp,
  },
  { title: 'AdapterVersion', description: 'A version of an adapter, for one base model version.' },
);
export type AdapterVersion = Static<typeof AdapterVersion>;

export const CurrentVersion = Type.Object(
  {
    adapter_id: Id('adapter'),
    base_model_version_id: Id('baseModelVersion', 'The base model version on which it should be served.'),
    version_id: Nullable(Id('adapterVersion', 'The version that should be served there; null if none should.')),
    number: Nullable(Type.Integer({ description: 'Its number.' })),
    digest: Nullable(Type.String({ description: 'SHA-256 of its folder, which is also the ETag of the download.' })),
    provisional: Type.Boolean({ description: 'Whether it is provisional: nobody has measured it.' }),
    previous_version_id: Nullable(
      Id('adapterVersion', 'What was current before, to which a rollback goes back. It may be gone.'),
    ),
    changed_at: Nullable(Timestamp),
  },
  { title: 'CurrentVersion', description: 'The version of an adapter that should be served on a base model version.' },
);
export type CurrentVersion = Static<typeof CurrentVersion>;

export const SetCurrentVersion = Type.Object(
  {
    version_id: Nullable(
      Id(
        'adapterVersion',
        'The version of the adapter that should be served on this base model version; null for none.',
      ),
    ),
    expected_version_id: Nullable(
      Id(
        'adapterVersion',
        'What is current, as far as the caller knows; null for none. If something else is, nothing changes.',
      ),
    ),
  },
  {
    title: 'SetCurrentVersion',
    description: 'Which version should be served from now on.',
    additionalProperties: false,
  },
);
export type SetCurrentVersion = Static<typeof SetCurrentVersion>;

export const AdapterResource = Type.Object(
  {
    id: Id('adapter'),
    tenant_id: Id('tenant'),
    name: Name,
    base_model_id: Id('baseModel'),
    base_model_name: Name,
    dataset_id: Nullable(Id('dataset')),
    metric: Metric,
    gate: GateRule,
    append_eos: AdapterOptions.properties.append_eos,
    max_length: Nullable(AdapterOptions.properties.max_length),
    labels: Labels,
    pinned_base_model_version_id: Pin,
    approval: AdapterApproval,
    latest_version: Nullable(AdapterVersion),
    current: Type.Array(CurrentVersion, {
      maxItems: CURRENT_SHOWN,
      description:
        'For each base model version, the version that should be served there: the newest 20 base model versions ' +
        'that have one. `latest_version` is what the next rollout carries over.',
    }),
    created_at: Timestamp,
  },
  { title: 'Adapter', description: 'A LoRA adapter of a tenant, with the newest of its versions.' },
);
export type AdapterResource = Static<typeof AdapterResource>;

/** Schema of the answer to a request that creates an adapter: the adapter, with advice on its gate. */
export const CreatedAdapter = Type.Object(
  { ...AdapterResource.properties, gate_advice: Nullable(GateAdviceResource) },
  { title: 'CreatedAdapter', description: 'An adapter as its creation answers it.' },
);
export type CreatedAdapter = Static<typeof CreatedAdapter>;

/** Schema of the answer to a request that changes an adapter: the adapter, with advice on its gate. */
export const UpdatedAdapter = Type.Object(
  { ...AdapterResource.properties, gate_advice: Nullable(GateAdviceResource) },
  { title: 'UpdatedAdapter', description: 'An adapter as a change of it answers it.' },
);
export type UpdatedAdapter = Static<typeof UpdatedAdapter>;

export const NegativeFlipResource = Type.Object(
  {
    dataset_id: Nullable(Id('dataset', 'The dataset that the row is in. It may have been deleted since.')),
    row: Type.Integer({
      description: 'Number of the row in the dataset, from 1. Blank lines of the upload do not count.',
    }),
    slices: Type.Array(Type.String(), { description: 'The slices that the row names.' }),
  },
  { title: 'NegativeFlip', description: 'A gate row that the version before had right and this one has wrong.' },
);
export type NegativeFlipResource = Static<typeof NegativeFlipResource>;

export const ARCHIVE_TYPE = 'application/x-tar';
/**
 * Content types that an uploaded archive may have. The general type, `application/octet-stream`, is for clients that
 * cannot send `application/x-tar`.
 */
export const ARCHIVE_TYPES = [ARCHIVE_TYPE, 'application/octet-stream'] as const;

export const UploadVersionQuery = Type.Object(
  { base_model_version: BaseModelVersionReference },
  { additionalProperties: false },
);

const Archive = Binary(
  'An uncompressed tar archive of a PEFT folder. It holds `adapter_config.json` and `adapter_model.safetensors`, and ' +
    'optionally `README.md` and `readapt.json`, either at the top or in one folder.',
);

/** Body of an upload: the archive of an adapter version, which the service reads and checks as a stream. */
export const UploadVersionBody = { content: contentOf(ARCHIVE_TYPES, Archive) };

export const ListAdaptersQuery = Type.Object(
  {
    ...PageQuery.properties,
    tenant_id: Type.Optional(Id('tenant')),
    name: Type.Optional(Name),
    label: Type.Optional(labelQueryOf('those with the label `key:value`')),
    sort: Type.Optional(
      sortOf('AdapterSort', ['created', 'name'], 'The order of the list; `-created` is the default.'),
    ),
    base_model_version_id: Type.Optional(
      Id('baseModelVersion', 'Only adapters that have a current version on this base model version.'),
    ),
    not_on: Type.Optional(
      Id(
        'baseModelVersion',
        'Only adapters of the base model that have no current version on this base model version, given ' +
          'by its identifier.',
      ),
    ),
    at_risk_on: Type.Optional(
      Id(
        'baseModelVersion',
        'Only adapters that are at risk when this base model version retires: they have a current version on it, and ' +
          'none on a base model version that is served for longer. As long as it has no `retires_at`, only versions ' +
          'without one count as longer.',
      ),
    ),
  },
  { additionalProperties: false },
);
export type ListAdaptersQuery = Static<typeof ListAdaptersQuery>;

export const AdapterParams = Type.Object({ id: Id('adapter') });
export const CurrentVersionParams = Type.Object({
  id: Id('adapter'),
  base_model_version_id: Id('baseModelVersion'),
});
export const AdapterVersionParams = Type.Object({ id: Id('adapter'), version_id: Id('adapterVersion') });

/** Answer to a download: the archive of an adapter version, which the service sends as a stream. */
export const VersionArchive = {
  description: 'A tar archive of the PEFT folder.',
  content: contentOf([ARCHIVE_TYPE], Binary('A tar archive.')),
};
