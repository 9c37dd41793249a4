import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { sortOf } from '../../platform/contract/sorting.ts';
import {
  ErrorOf,
  Id,
  Name,
  Nullable,
  PausedReasonSchema,
  severalOf,
  StrategySchema,
  Timestamp,
  used,
} from '../../platform/contract/schemas.ts';
import { RolloutEvolution } from '../evolutions/index.ts';
import { MAX_LEARNING_RATE } from '../jobs/index.ts';
import { RolloutPolicy } from './policy.schemas.ts';
import { ROLLOUT_STATES } from './rollout.states.ts';

/**
 * Defaults of options that neither the request for a rollout nor its policy sets. They are not in the schema, because
 * validation would fill them into the request, as if the client had sent them.
 */
const LAST_DEFAULTS = { strategy: 'auto', control: 'none', control_fraction: 0.5 } as const;

/**
 * Makes the schema of a rollout's options: those that its jobs get, those that say how many controls there are, and the
 * policy.
 * @param table schema of the options of jobs
 */
export function rolloutOptions(table: Type.TObject = JobOptions) {
  const options = optionalJobOptions(table).properties;
  const { description: help } = JobOptions.properties.strategy as { description?: string };
  const rate = (option: object | undefined) => Type.Optional(Type.Number({ ...option, maximum: MAX_LEARNING_RATE }));
  return Type.Object(
    {
      ...options,
      strategy: Type.Optional(
        used(StrategySchema, { description: `${help} Without it, that of the policy counts, and else \`auto\`.` }),
      ),
      learning_rate: rate(options.learning_rate),
      scratch_learning_rate: rate(options.scratch_learning_rate),
      policy: Type.Optional(RolloutPolicy),
      control: Type.Optional(
        Type.Enum(['none', 'sample', 'all'] as const, {
          title: 'ControlMode',
          description:
            'Which adapters are also trained from scratch, after all others, so that the speed-up is measured. ' +
            'Without it, `sample` where the policy has a `control_fraction`, and else `none`.',
        }),
      ),
      control_fraction: Type.Optional(
        Type.Number({
          minimum: 0,
          maximum: 1,
          description: 'Share of the adapters in the sample. Without it, that of the policy counts, and else 0.5.',
        }),
      ),
    },
    {
      title: 'RolloutOptions',
      description: 'How the jobs of a rollout carry adapters over, and how it is steered.',
      additionalProperties: false,
    },
  );
}

export const RolloutOptions = rolloutOptions();
export type RolloutOptions = GivenJobOptions & {
  readonly control?: 'none' | 'sample' | 'all';
  readonly control_fraction?: number;
  readonly policy?: RolloutPolicy;
};

/** Options as a rollout's row stores them: with all defaults filled in, except those that depend on other values. */
export type StoredOptions = RolloutOptions &
  Required<Pick<RolloutOptions, 'strategy' | 'control' | 'control_fraction' | 'seed'>>;

export function withDefaults(options: RolloutOptions): StoredOptions {
  return Value.Default(RolloutOptions, { ...LAST_DEFAULTS, ...options }) as StoredOptions;
}

/**
 * Moves the options that a policy sets into the options of the rollout. If both set an option, that of the rollout
 * wins. The policy in the result no longer has these options.
 */
export function withPolicy(options: RolloutOptions, policy: RolloutPolicy): RolloutOptions {
  const { strategy, control_fraction: fraction, ...rest } = policy;
  const sample = fraction === undefined ? {} : ({ control: 'sample', control_fraction: fraction } as const);
  return { ...(strategy !== undefined && { strategy }), ...sample, ...options, policy: rest };
}

function countsOf(kind: string) {
  const description = `Number of ${kind} by state. States without one are left out.`;
  return Type.Record(Type.String(), Type.Integer(), { description });
}

const Summary = Type.Object(
  {
    adapters: Type.Integer({ description: 'Number of adapters in the rollout that the caller may see.' }),
    ready: Type.Integer(),
    not_ready: Type.Integer(),
    failed: Type.Integer(),
    cancelled: Type.Integer(),
    median_ttr_ms: Nullable(Type.Number({ description: 'Median time to readiness of the ready adapters.' })),
    makespan_ms: Nullable(
      Type.Number({ description: 'Time from acceptance to the end of the last adaptation. Controls do not count.' }),
    ),
    controls: Type.Integer({ description: 'Number of controls.' }),
    median_speedup: Nullable(
      Type.Number({
        description:
          'Median of the time of a control divided by the time of its adapter, both without the wait in the queue ' +
          'and the time for which they were held.',
      }),
    ),
  },
  { title: 'RolloutSummary', description: 'Counts and times over the adapters of a rollout.' },
);

export const RolloutStateName = Type.Enum(ROLLOUT_STATES, {
  title: 'RolloutState',
  description:
    'planning: waiting for a worker. analyzing: files are verified, the evolutions computed and the jobs planned, ' +
    'the first of which may run meanwhile. adapting: all jobs are planned, and run. paused: nothing is begun, and it ' +
    'goes on when it is resumed. completed: all jobs have ended, and what their adapters are compared with is ' +
    'measured. failed: see `error`.',
});

const RolloutFetch = Type.Object(
  {
    base_model_version_id: Id('baseModelVersion'),
    version: Type.String({ description: 'The version text of that version.' }),
    file: Nullable(Type.String({ description: 'The file that is being fetched; null when all are there.' })),
    bytes_done: Type.Integer({ description: 'Bytes of its files that the worker has.' }),
    bytes_total: Type.Integer({ description: 'Bytes of all of its files.' }),
  },
  { title: 'RolloutFetch', description: 'How far the files of a base model version are fetched.' },
);

export const Rollout = Type.Object(
  {
    id: Id('rollout'),
    base_model_version_id: Id('baseModelVersion', 'The version that the fleet is carried over to.'),
    base_model_name: Name,
    version: Type.String({ description: 'The version text of that version.' }),
    state: RolloutStateName,
    options: RolloutOptions,
    error: Nullable(ErrorOf('Why the rollout failed, or why its analysis waits.')),
    fetches: Nullable(
      Type.Array(RolloutFetch, {
        description:
          'How far the last analysis has fetched bases that come from a hub or a bucket. Null where it found them ' +
          'all on its worker, and for tenants.',
      }),
    ),
    paused_at: Nullable(Timestamp),
    paused_reason: Nullable(PausedReasonSchema),
    deadline_missed_at: Nullable(
      Type.String({
        format: 'date-time',
        description: 'When it was noted that the deadline of its policy had passed.',
      }),
    ),
    superseded_by: Nullable(
      Id(
        'rollout',
        'The last rollout to a newer version that has taken adapters of this one. Their jobs have ended as ' +
          '`cancelled` with the error `superseded`, or run to their end; the other adapters are carried over as ' +
          'before.',
      ),
    ),
    waves: Nullable(
      Type.Object(
        {
          released: Type.Integer({
            description:
              'The last wave that was released. Jobs of later ones are `held`. 0 while provisional versions are made.',
          }),
          total: Type.Integer({ description: 'Number of waves; 1 until they are decided, when the jobs are planned.' }),
          awaiting_approval: Type.Boolean({ description: 'Whether the next wave waits for `POST …/approve`.' }),
        },
        { title: 'RolloutWaves', description: 'Progress of the waves; null if the rollout has no policy.' },
      ),
    ),
    left_out: Nullable(
      Type.Record(Type.String(), Type.Integer(), {
        description:
          'Number of adapters of the base model that it does not take, by reason, as it was when the planning began: ' +
          '`no_version` (there is nothing to carry over), `carried_over` (it has a version for this base model ' +
          'version), `not_selected` (by the policy) and `pinned` (to another version, by its tenant). Each adapter ' +
          'counts for the first of these. Null until then, and for tenants.',
      }),
    ),
    jobs: countsOf('adaptation jobs'),
    controls: countsOf('controls'),
    summary: Summary,
    evolutions: Type.Array(RolloutEvolution, {
      description: 'What changed from each version that adapters come from, as far as it is analyzed.',
    }),
    accepted_at: Timestamp,
    planned_at: Nullable(Timestamp),
    finished_at: Nullable(Timestamp),
    rolled_back_at: Nullable(
      Type.String({
        format: 'date-time',
        description:
          'When its rollback has ended: `GET …/rollback` says what it has done. Null where nobody has rolled it ' +
          'back, and until a rollback has ended.',
      }),
    ),
    updated_at: Timestamp,
  },
  {
    title: 'Rollout',
    description: 'A rollout carries the adapters of a base model over to one of its versions, with a job for each.',
  },
);
export type Rollout = Static<typeof Rollout>;

export const CreateRollout = Type.Object(
  {
    base_model_version_id: Id('baseModelVersion', 'The version that the fleet is carried over to.'),
    options: Type.Optional(RolloutOptions),
  },
  { title: 'CreateRollout', description: 'What a rollout is begun with.', additionalProperties: false },
);
export type CreateRollout = Static<typeof CreateRollout>;

export const ApproveWave = Type.Object(
  { wave: Type.Integer({ minimum: 2, description: 'The wave that waits for the approval.' }) },
  { title: 'ApproveWave', description: 'Wave to approve.', additionalProperties: false },
);

export const RolloutParams = Type.Object({ id: Id('rollout') });
export const RolloutQuery = Type.Object(
  {
    ...PageQuery.properties,
    state: Type.Optional(severalOf(RolloutStateName)),
    sort: Type.Optional(sortOf('RolloutSort', ['accepted'], 'The order of the list; `-accepted` is the default.')),
    base_model: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
    ),
  },
  { additionalProperties: false },
);
export type RolloutQuery = Static<typeof RolloutQuery>;
