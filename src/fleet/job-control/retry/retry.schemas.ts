import Type from 'typebox';
import { used } from '../../../platform/contract/schemas.ts';
import { OwnOptions } from '../../jobs/index.ts';

/** Schema of a request to retry a job. It has a default, so that a request needs no body. */
export const RetryJob = Type.Object(
  {
    options: Type.Optional(
      used(OwnOptions, {
        description:
          'Options that the job has of its own from now on, in place of those of its rollout and of an earlier ' +
          'retry; `{}` gives it those of the rollout again. Left out, it keeps what it has.',
      }),
    ),
  },
  { title: 'RetryJob', description: 'How a job is tried again.', additionalProperties: false, default: {} },
);
