import Type, { type Static } from 'typebox';
import { labelsOf } from '../../../platform/contract/labels.ts';
import { Id, Nullable } from '../../../platform/contract/schemas.ts';
import { RetryJob } from '../retry/retry.schemas.ts';
import { JobStateName } from '../../jobs/index.ts';

/** Largest number of values that a filter may list for one criterion, such as adapters. */
const MOST = 1000;

const oneOf = <T extends Type.TSchema>(item: T, description: string) =>
  Type.Optional(Type.Array(item, { minItems: 1, maxItems: MOST, description }));

const JobFilter = Type.Object(
  {
    states: oneOf(JobStateName, 'Jobs in one of these states.'),
    tenants: oneOf(Id('tenant'), 'Jobs of these tenants.'),
    adapters: oneOf(Id('adapter'), 'Jobs of these adapters.'),
    error_codes: oneOf(
      Type.String({ pattern: '^[a-z0-9_]{1,100}$' }),
      'Jobs whose `error` has one of these codes, for example `gate_inconclusive`.',
    ),
    labels: Type.Optional(
      labelsOf({ description: 'Jobs of adapters that have all of these labels now.', minProperties: 1 }),
    ),
  },
  {
    title: 'JobFilter',
    additionalProperties: false,
    description: 'Which jobs of the rollout: those that meet all that is given. Without it, all.',
  },
);
export type JobFilter = Static<typeof JobFilter>;

const properties = {
  filter: Type.Optional(JobFilter),
  dry_run: Type.Optional(
    Type.Boolean({ default: false, description: 'Answer with the same counts, and change nothing.' }),
  ),
  cursor: Type.Optional(
    Type.String({
      maxLength: 400,
      description: 'The `next_cursor` of the answer before, to go on where it ended; leave it out at first.',
    }),
  ),
};

/**
 * Schema of a request that changes the jobs of a rollout by filter. It has a default, so that a request needs no body.
 */
export const ChangeRolloutJobs = Type.Object(properties, {
  title: 'ChangeRolloutJobs',
  description: 'Which jobs of a rollout an action concerns.',
  additionalProperties: false,
  default: {},
});

export const RetryRolloutJobs = Type.Object(
  { ...properties, ...RetryJob.properties },
  {
    title: 'RetryRolloutJobs',
    description: 'Which jobs of a rollout are tried again, and how.',
    additionalProperties: false,
    default: {},
  },
);

export const ChangedRolloutJobs = Type.Object(
  {
    dry_run: Type.Boolean(),
    matched: Type.Integer({
      description:
        'Jobs that meet the filter and to which the action applies. `cancel`: they have not ended. `pause`: nor has ' +
        'anybody paused them themselves. `resume`: they are paused. `retry`: they have ended without a publication.',
    }),
    changed: Type.Integer({ description: 'Number of jobs that were changed, or would be without `dry_run`.' }),
    left: Type.Array(
      Type.Object(
        {
          code: Type.String({ description: 'The code with which the action on one of these jobs alone is refused.' }),
          jobs: Type.Integer({ description: 'Number of jobs.' }),
        },
        { title: 'LeftJobs', description: 'Jobs that are left as they are for one reason.' },
      ),
      { description: 'The others by the reason why they are left as they are, by code.' },
    ),
    next_cursor: Nullable(
      Type.String({
        description:
          'Not null where there may be more jobs than one request changes: send the request again with it as `cursor`.',
      }),
    ),
  },
  { title: 'ChangedRolloutJobs', description: 'What an action on many jobs has done, or would do.' },
);
export type ChangedRolloutJobs = Static<typeof ChangedRolloutJobs>;
