import Type, { type Static } from 'typebox';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { GateAdviceResource } from './gate-advice.ts';
import { Binary, contentOf, Id, Name, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

export const Dataset = Type.Object(
  {
    id: Id('dataset'),
    tenant_id: Id('tenant'),
    name: Name,
    rows: Type.Integer({ description: 'Number of rows.' }),
    bytes: Type.Integer({ description: 'Size of the stored JSONL, in which every row names its split.' }),
    splits: Type.Object(
      {
        training: Type.Integer({ description: 'Number of rows that adapters are trained on.' }),
        search: Type.Integer({ description: 'Number of rows on which the search compares fusion coefficients.' }),
        gate: Type.Integer({ description: 'Number of rows on which the gate judges candidates.' }),
      },
      { title: 'DatasetSplits', description: 'Number of rows by split.' },
    ),
    gate_slices: Nullable(
      Type.Record(Type.String(), Type.Integer(), {
        description: 'Number of gate rows by slice. Null where there are more than 1,000 slices.',
      }),
    ),
    prompts_only: Type.Boolean({
      description:
        'Whether its rows are prompts alone. The version that a gate compares with answers them, or with an absolute ' +
        'gate the one that is carried over, and what is measured is how far another version agrees with it.',
    }),
    digest: Type.String({ description: 'SHA-256 of the stored JSONL.' }),
    created_at: Timestamp,
  },
  { title: 'Dataset', description: 'The rows of a task, by which adapters are trained, searched and judged.' },
);
export type Dataset = Static<typeof Dataset>;

/** Schema of the answer to an upload of a dataset: the dataset, with advice on what its gate rows can certify. */
export const CreatedDataset = Type.Object(
  { ...Dataset.properties, gate_advice: Nullable(GateAdviceResource) },
  { title: 'CreatedDataset', description: 'A dataset as its upload answers it.' },
);
export type CreatedDataset = Static<typeof CreatedDataset>;

export const CreateDatasetQuery = Type.Object(
  {
    name: Name,
    tenant_id: Type.Optional(
      Id('tenant', 'The owner of the dataset. Operators have to name it; others may leave it out.'),
    ),
  },
  { additionalProperties: false },
);
export type CreateDatasetQuery = Static<typeof CreateDatasetQuery>;

/**
 * Content types that an upload of rows may have. The general type, `application/octet-stream`, is for clients that
 * cannot send `application/x-ndjson`.
 */
export const DATASET_TYPES = ['application/x-ndjson', 'application/octet-stream'] as const;

const Rows = Binary(
  'One JSON object per line: with the strings `prompt` and `completion`, or with `messages`, a conversation ' +
    'that ends with the assistant, and optionally `tools`. If all rows lack the answer (no `completion`, no last ' +
    'message of the assistant), the dataset is one of prompts alone, which the old version of an adapter answers; ' +
    'some rows with answers and some without are refused. Each may have `slices`, names of groups to report by, ' +
    'and `split`: `training`, `search` or `gate` (`train`, `validation` and `test` are accepted as ' +
    'other names of the same three). Either all rows name their split or none does. If none does, 80 % become ' +
    'training rows, 10 % search rows and 10 % gate rows, by a hash of the prompt, so that equal prompts are in the ' +
    'same split. A dataset needs search rows and gate rows; adapters of one without training rows are never trained.',
);

/** Body of an upload: the rows of a dataset, which the service reads and checks as a stream. */
export const CreateDatasetBody = { content: contentOf(DATASET_TYPES, Rows) };

export const ListDatasetsQuery = Type.Object(
  { ...PageQuery.properties, tenant_id: Type.Optional(Id('tenant')), name: Type.Optional(Name) },
  { additionalProperties: false },
);
export type ListDatasetsQuery = Static<typeof ListDatasetsQuery>;

export const DatasetParams = Type.Object({ id: Id('dataset') });
