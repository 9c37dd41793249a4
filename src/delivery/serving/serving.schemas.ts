import Type, { type Static } from 'typebox';
import { BASE_NAME_PATTERN, MAX_BASE_NAME } from '../../../core/options/base-names.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { Id, Nullable } from '../../platform/contract/schemas.ts';
import { POSITION_PATTERN } from '../events/index.ts';

export const ServedVersion = Type.Object(
  {
    adapter_id: Id('adapter'),
    tenant_id: Id('tenant'),
    base_model_version_id: Id('baseModelVersion'),
    base_model_fingerprint: Nullable(
      Type.String({ description: "Digest of the base's files; null until they are verified." }),
    ),
    serving_name: Nullable(
      Type.String({
        description: 'What engines call the base: `--model` of vLLM. It is null for tenants if it is an absolute path.',
      }),
    ),
    alias: Type.String({ description: 'What engines call whichever version is current: `TENANT.ADAPTER`.' }),
    name: Type.String({ description: 'What engines call this version: the alias, `@` and its number.' }),
    adapter_version_id: Id('adapterVersion'),
    number: Type.Integer({ description: 'Number of the version.' }),
    provisional: Type.Boolean({ description: 'Whether nobody has measured it yet.' }),
    rank: Type.Integer({ description: 'The largest rank of a module, for `--max-lora-rank` of vLLM.' }),
    digest: Type.String({ description: 'SHA-256 over names, sizes and SHA-256 of its files: see `AdapterVersion`.' }),
    bytes: Type.Integer({ description: 'Size of its files together.' }),
    changed_at: Type.String({
      format: 'date-time',
      description: 'When it became current; for one that is not current, when it was created.',
    }),
    download: Type.String({ description: 'Path of the operation that downloads it as one archive.' }),
    files: Type.String({ description: 'Path of the operation that says where to get each of its files.' }),
  },
  { title: 'ServedVersion', description: 'The version of an adapter that is to be served on a base model version.' },
);
export type ServedVersion = Static<typeof ServedVersion>;

export const ResolveAdapterQuery = Type.Object(
  { base_model_version: Id('baseModelVersion', 'The base model version on which it is to be served.') },
  { additionalProperties: false },
);

export const ResolveNameQuery = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 1024,
      description:
        'An alias, `TENANT.ADAPTER`, or the name of a version, `TENANT.ADAPTER@NUMBER`. In names of tenants, ' +
        '`.` is written as `%2E`.',
    }),
    serving_name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_BASE_NAME,
        pattern: BASE_NAME_PATTERN,
        description: 'What the engine calls its base: the `serving_name` of a base model version.',
      }),
    ),
    base_model_version: Type.Optional(
      Id(
        'baseModelVersion',
        'The base model version that the engine serves. With `serving_name`, both must be of one version.',
      ),
    ),
  },
  { additionalProperties: false },
);
export type ResolveNameQuery = Static<typeof ResolveNameQuery>;

export const CurrentOfBaseParams = Type.Object({ id: Id('baseModelVersion') });

export const CurrentOfBaseQuery = Type.Object(
  {
    ...PageQuery.properties,
    changed_after: Type.Optional(
      Type.String({
        pattern: POSITION_PATTERN,
        description:
          'Only what has changed after this position, what changed first coming first: the `next_changed_after` of ' +
          'the answer before; `0` for all. A change appears once all older transactions of the database have ended; ' +
          'until then it is left out. It takes no `cursor`.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type CurrentOfBaseQuery = Static<typeof CurrentOfBaseQuery>;

export const CurrentOfBase = Type.Object(
  {
    ...pageOf(ServedVersion).properties,
    removed: Type.Array(Id('adapter'), {
      description:
        'With `changed_after`, the adapters of which nothing is to be served any more: they were deleted, or ' +
        'none of their versions is current.',
    }),
    next_changed_after: Nullable(
      Type.String({
        description:
          'Pass it as `changed_after` to get later changes. It is null if the request has no `changed_after`.',
      }),
    ),
  },
  { title: 'ServedVersionPage', description: 'A page of `ServedVersion`s.' },
);
export type CurrentOfBase = Static<typeof CurrentOfBase>;
