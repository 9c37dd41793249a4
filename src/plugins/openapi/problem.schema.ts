import Type from 'typebox';
import { PROBLEM_CODES } from '../../lib/problem-codes.ts';
import { Nullable } from '../../lib/schemas.ts';

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

/** A problem by RFC 9457. */
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
  },
  {
    additionalProperties: true,
    description: 'What is wrong with a request (RFC 9457). Further members depend on the code.',
  },
);
