import Type from 'typebox';
import { PROBLEM_CODES } from '../../../platform/contract/problem-codes.ts';
import { Id, Nullable } from '../../../platform/contract/schemas.ts';

const FieldError = Type.Object(
  {
    in: Type.String({ description: 'The part of the request: `body`, `query`, `path` or `headers`.' }),
    field: Type.String({ description: 'Path of the field, for example `gate.target`.' }),
    message: Type.String({ description: 'What is wrong with it, for people.' }),
  },
  { title: 'FieldError', description: 'What is wrong with one field of a request.' },
);

const BadLine = Type.Object(
  {
    line: Type.Integer({ description: 'Number of the line, from 1.' }),
    reason: Type.String({ description: 'What is wrong with it, for people.' }),
  },
  { title: 'BadLine', description: 'A line of an upload that cannot be used.' },
);

const text = (description: string) => Type.Optional(Type.String({ description }));
const count = (description: string) => Type.Optional(Type.Integer({ description }));
const quantity = (description: string) => Type.Optional(Type.Number({ description }));

/** Members that only problems with certain codes have. One schema holds all of them; ADR 24 explains why. */
const ofCodes = {
  rollout_id: Type.Optional(Id('rollout', 'Of `rollout_exists` and `superseded`: the other rollout.')),
  job_id: Type.Optional(Id('job', 'Of `adapter_in_use` and `version_in_use`: the job that uses it.')),
  dataset_id: Type.Optional(
    Id('dataset', 'Of `dataset_deleted`, `unknown_slice` and `metric_needs_answers`: the dataset.'),
  ),
  adapter_ids: Type.Optional(
    Type.Array(Id('adapter'), { description: 'Of `dataset_in_use`: some of the adapters that use it.' }),
  ),
  base_model_version_id: Type.Optional(
    Id('baseModelVersion', 'Of `current_version`: the base model version for which it is current.'),
  ),
  current_version_id: Type.Optional(
    Nullable(Id('adapterVersion', 'Of `current_version_changed`: what is current now; null if nothing is.')),
  ),
  successor_id: Type.Optional(Id('apiKey', 'Of `already_rotated`: the key that takes the place of this one.')),
  deleted_at: Type.Optional(
    Type.String({ format: 'date-time', description: 'Of `grace_time_over`: when it was deleted.' }),
  ),
  quota: text('Of `quota_exceeded`: the quota.'),
  used: quantity('Of `quota_exceeded`: how much of the quota is used.'),
  limit: quantity('Of `quota_exceeded` and other codes: the most that is allowed.'),
  resets_at: Type.Optional(
    Nullable(
      Type.String({
        format: 'date-time',
        description:
          'Of `quota_exceeded`: when what is used counts from nothing again; null if only the tenant or the ' +
          'operator can make room.',
      }),
    ),
  ),
  slice: text('Of `unknown_slice`: the slice.'),
  bad_lines: count('Of `invalid_dataset`: number of bad lines, up to 100.'),
  max_bytes: count('Of `upload_too_large` and `adapter_too_large`: the most bytes that are taken.'),
  max_rows: count('Of `upload_too_large`: the most rows that are taken.'),
  bytes: count('Of `range_not_satisfiable`: the number of bytes that there are.'),
  limit_ms: quantity('Of `inspection_timeout`: the longest time for an inspection, in milliseconds.'),
  limit_bytes: quantity('Of `inspection_out_of_memory`: the most memory for an inspection, in bytes.'),
};

/** Schema of the body of every error answer: a problem document of RFC 9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:readapt:problem:` and the code.' }),
    title: Type.String({ description: 'The phrase of the HTTP status.' }),
    status: Type.Integer({ maximum: 599, description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong, for people.' }),
    code: Type.Enum(Object.values(PROBLEM_CODES).flat(), {
      title: 'ProblemCode',
      description: 'What is wrong, for programs. Codes do not change; later versions add some.',
    }),
    instance: Type.Optional(Type.String({ description: 'Path of the request.' })),
    errors: Type.Optional(Type.Array(FieldError, { description: 'Of `invalid_request`: the fields that are wrong.' })),
    lines: Type.Optional(Type.Array(BadLine, { description: 'Of `invalid_dataset`: the first ten bad lines.' })),
    retry_after_ms: Type.Optional(
      Type.Number({
        description: 'Milliseconds to wait before the request is sent again, as `Retry-After` says in seconds.',
      }),
    ),
    setting: Type.Optional(
      Nullable(
        Type.String({
          description: 'The setting of the service that a limit comes from; null if it is of the tenant.',
        }),
      ),
    ),
    pruned_up_to: Type.Optional(Type.String({ description: 'Of `position_expired`: the position to go on from.' })),
    ...ofCodes,
  },
  {
    additionalProperties: true,
    description: 'What is wrong with a request (RFC 9457). Further members depend on the code.',
  },
);
