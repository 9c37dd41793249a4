import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';
import { PageQuery } from '../../lib/pagination.ts';
import { ErrorOf, Id, Name, Nullable, severalOf, Timestamp } from '../../lib/schemas.ts';
import { MAX_LEARNING_RATE, RolloutPolicy } from '../jobs/index.ts';
import { ROLLOUT_STATES } from './rollout.states.ts';

/** The options of a rollout: those of every job, and those that plan the fleet. @param table the job options */
export function rolloutOptions(table: Type.TObject = JobOptions) {
  const options = optionalJobOptions(table).properties;
  const rate = (option: object | undefined) => Type.Optional(Type.Number({ ...option, maximum: MAX_LEARNING_RATE }));
  return Type.Object(
    {
      ...options,
      learning_rate: rate(options.learning_rate),
      scratch_learning_rate: rate(options.scratch_learning_rate),
      policy: Type.Optional(RolloutPolicy),
      control: Type.Optional(
        Type.Enum(['none', 'sample', 'all'] as const, {
          default: 'none',
          description:
            'Which adapters are also trained from scratch, after all others, so that the speed-up is measured.',
        }),
      ),
      control_fraction: Type.Optional(
        Type.Number({ minimum: 0, maximum: 1, default: 0.5, description: 'Share of the adapters in the sample.' }),
      ),
    },
    { title: 'RolloutOptions', additionalProperties: false },
  );
}

export const RolloutOptions = rolloutOptions();
export type RolloutOptions = GivenJobOptions & {
  readonly control?: 'none' | 'sample' | 'all';
  readonly control_fraction?: number;
  readonly policy?: RolloutPolicy;
};

/** The options that a rollout's row stores: all defaults that depend on nothing else are filled in. */
export type StoredOptions = RolloutOptions &
  Required<Pick<RolloutOptions, 'strategy' | 'control' | 'control_fraction' | 'seed'>>;

export function withDefaults(options: RolloutOptions): StoredOptions {
  return Value.Default(RolloutOptions, { ...options }) as StoredOptions;
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
          'Median of the time of a control divided by the time of its adapter, both without the wait in the queue and the time for ' +
          'which they were held.',
      }),
    ),
  },
  { title: 'RolloutSummary' },
);

const Evolution = Type.Object(
  {
    old_base_model_version_id: Id('baseModelVersion', 'The version that adapters come from.'),
    state: Type.Enum(['pending', 'ready', 'failed'] as const),
    drift: Nullable(
      Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖ over all modules that adapters can change.' }),
    ),
    advice: Nullable(
      Type.Object({
        verdict: Type.Enum(['reuse', 'revert', 'search', 'retrain', 'incompatible'] as const, {
          description: 'What is likely to work for adapters of that version. Jobs follow their own strategy and gate.',
        }),
        reasons: Type.Array(Type.Object({ code: Type.String(), message: Type.String() })),
      }),
    ),
  },
  { title: 'RolloutEvolution' },
);
export type RolloutEvolution = Static<typeof Evolution>;

export const Rollout = Type.Object(
  {
    id: Id('rollout'),
    base_model_version_id: Id('baseModelVersion', 'The version that the fleet is carried over to.'),
    base_model_name: Name,
    version: Type.String({ description: 'The version text of that version.' }),
    state: Type.Enum(ROLLOUT_STATES, {
      description:
        'planning: waiting for a worker. analyzing: files are verified, the evolutions computed and the jobs planned, the first ' +
        'of which may run meanwhile. adapting: all jobs are planned, and run. paused: nothing is begun, and it goes on when it is ' +
        'resumed. ' +
        'completed: all jobs have ended, and what their adapters are compared with is measured. failed: see `error`.',
    }),
    options: RolloutOptions,
    error: Nullable(ErrorOf('Why the rollout failed, or why its analysis waits.')),
    paused_at: Nullable(Timestamp),
    paused_reason: Nullable(
      Type.Object(
        {
          code: Type.Enum(['requested', 'pause_if'] as const, {
            description: '`requested`: the operator has paused it. `pause_if`: a condition of its policy has.',
          }),
          message: Type.String({ description: 'Why, for people.' }),
          condition: Type.Optional(Type.String({ description: 'The condition of `pause_if`.' })),
          value: Type.Optional(Type.Number({ description: 'What was found.' })),
          limit: Type.Optional(Type.Number({ description: 'What the policy allows.' })),
          wave: Type.Optional(Type.Integer({ description: 'The wave that was judged.' })),
          jobs: Type.Optional(Type.Integer({ description: 'Number of jobs that it was judged by.' })),
        },
        {
          description:
            'Why the rollout is paused. The figures, which are of the jobs of all tenants, are for the operator alone.',
        },
      ),
    ),
    waves: Nullable(
      Type.Object(
        {
          released: Type.Integer({ description: 'The last wave that was released. Jobs of later ones are `held`.' }),
          total: Type.Integer({ description: 'Number of waves; 1 until they are decided, when the jobs are planned.' }),
          awaiting_approval: Type.Boolean({ description: 'Whether the next wave waits for `POST …/approve`.' }),
        },
        { description: 'Null where the rollout has no policy.' },
      ),
    ),
    jobs: countsOf('adaptation jobs'),
    controls: countsOf('controls'),
    summary: Summary,
    evolutions: Type.Array(Evolution, {
      description: 'What changed from each version that adapters come from, as far as it is analyzed.',
    }),
    accepted_at: Timestamp,
    planned_at: Nullable(Timestamp),
    finished_at: Nullable(Timestamp),
    updated_at: Timestamp,
  },
  { title: 'Rollout' },
);
export type Rollout = Static<typeof Rollout>;

export const CreateRollout = Type.Object(
  {
    base_model_version_id: Id('baseModelVersion', 'The version that the fleet is carried over to.'),
    options: Type.Optional(RolloutOptions),
  },
  { title: 'CreateRollout', additionalProperties: false },
);
export type CreateRollout = Static<typeof CreateRollout>;

export const ApproveWave = Type.Object(
  { wave: Type.Integer({ minimum: 2, description: 'The wave that waits for the approval.' }) },
  { title: 'ApproveWave', additionalProperties: false },
);

export const RolloutParams = Type.Object({ id: Id('rollout') });
export const RolloutQuery = Type.Object(
  {
    ...PageQuery.properties,
    state: Type.Optional(severalOf(Type.Enum(ROLLOUT_STATES))),
    base_model: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
    ),
  },
  { additionalProperties: false },
);
export type RolloutQuery = Static<typeof RolloutQuery>;
