import Type, { type Static } from 'typebox';
import { PageQuery } from '../../lib/pagination.ts';
import { Id, Name, Timestamp } from '../../lib/schemas.ts';

export const Dataset = Type.Object(
  {
    id: Id('dataset'),
    tenant_id: Id('tenant'),
    name: Name,
    rows: Type.Integer(),
    bytes: Type.Integer({ description: 'Of the stored JSONL, in which every row carries its split.' }),
    splits: Type.Object({ training: Type.Integer(), search: Type.Integer(), gate: Type.Integer() }),
    digest: Type.String({ description: 'SHA-256 of the stored JSONL.' }),
    created_at: Timestamp,
  },
  { title: 'Dataset' },
);
export type Dataset = Static<typeof Dataset>;

export const CreateDatasetQuery = Type.Object(
  { name: Name, tenant_id: Type.Optional(Id('tenant', 'Whose dataset it is; for operators only.')) },
  { additionalProperties: false },
);
export type CreateDatasetQuery = Static<typeof CreateDatasetQuery>;

export const DATASET_TYPE = 'application/x-ndjson';

/** A stream at run time, so that its lines are checked by the service and not by this schema. */
export const CreateDatasetBody = {
  content: {
    [DATASET_TYPE]: {
      schema: Type.Any({
        description: `One JSON object per line, with the strings \`prompt\` and \`completion\` and optionally \`split\`: \`training\`,
\`search\` or \`gate\` (\`train\`, \`validation\` and \`test\` are accepted as other names of the same three). Either every row
names its split or none does. If none does, 80 % become training rows, 10 % search rows and 10 % gate rows, by a hash of
the prompt, so that equal prompts share a split. There must be search rows and gate rows; training rows may be left out.`,
      }),
    },
  },
};

export const ListDatasetsQuery = Type.Object(
  { ...PageQuery.properties, tenant_id: Type.Optional(Id('tenant')), name: Type.Optional(Name) },
  { additionalProperties: false },
);
export type ListDatasetsQuery = Static<typeof ListDatasetsQuery>;

export const DatasetParams = Type.Object({ id: Id('dataset') });
