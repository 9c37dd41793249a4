import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { JobOptions, type GivenJobOptions } from '../../../core/options/job-options.ts';
import { optionalJobOptions } from '../../../core/options/job-settings.ts';
import { PageQuery } from '../../lib/pagination.ts';
import { Id, Name, Nullable, Timestamp } from '../../lib/schemas.ts';
import { ROLLOUT_STATES } from './rollout.states.ts';

/** The options of a rollout: those of every job, and those that plan the fleet. @param table the job options */
export function rolloutOptions(table: Type.TObject = JobOptions) {
  return Type.Object(
    {
      ...optionalJobOptions(table).properties,
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
};

/** The options that a rollout's row stores: all defaults that depend on nothing else are filled in. */
export type StoredOptions = RolloutOptions &
  Required<Pick<RolloutOptions, 'strategy' | 'control' | 'control_fraction' | 'seed'>>;

export function withDefaults(options: RolloutOptions): StoredOptions {
  return Value.Default(RolloutOptions, { ...options }) as StoredOptions;
}

/** Jobs by state; states without one are left out. */
const Counts = Type.Record(Type.String(), Type.Integer());

const Summary = Type.Object(
  {
    adapters: Type.Integer({ description: 'Adapters in the rollout, as far as the caller may see them.' }),
    ready: Type.Integer(),
    not_ready: Type.Integer(),
    failed: Type.Integer(),
    cancelled: Type.Integer(),
    median_ttr_ms: Nullable(Type.Number()),
    makespan_ms: Nullable(
      Type.Number({ description: 'From acceptance to the end of the last adaptation; controls do not count.' }),
    ),
    controls: Type.Integer(),
    median_speedup: Nullable(
      Type.Number({
        description:
          'Median over the controlled adapters of control TTR / adaptation TTR, both without the wait in the queue.',
      }),
    ),
  },
  { title: 'RolloutSummary' },
);

const Evolution = Type.Object(
  {
    old_base_model_version_id: Id('baseModelVersion'),
    state: Type.Enum(['pending', 'ready', 'failed'] as const),
    drift: Nullable(Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖ of the layers that adapters can change.' })),
    advice: Nullable(
      Type.Object({
        verdict: Type.Enum(['reuse', 'revert', 'search', 'retrain', 'incompatible'] as const, {
          description: 'Where to begin with an adapter of that version; jobs go by their strategy and gates.',
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
    base_model_version_id: Id('baseModelVersion'),
    base_model_name: Name,
    version: Type.String(),
    state: Type.Enum(ROLLOUT_STATES),
    options: RolloutOptions,
    error: Nullable(
      Type.Object(
        { code: Type.String(), message: Type.String() },
        { additionalProperties: true, description: 'Why it failed.' },
      ),
    ),
    jobs: Counts,
    controls: Counts,
    summary: Summary,
    evolutions: Type.Array(Evolution, {
      description: 'What changed since each version that adapters come from, as far as it is analyzed.',
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
    base_model_version_id: Id('baseModelVersion', 'The version that the fleet is to reach.'),
    options: Type.Optional(RolloutOptions),
  },
  { title: 'CreateRollout', additionalProperties: false },
);
export type CreateRollout = Static<typeof CreateRollout>;

export const RolloutParams = Type.Object({ id: Id('rollout') });
export const RolloutQuery = Type.Object(
  { ...PageQuery.properties, state: Type.Optional(Type.Enum(ROLLOUT_STATES)) },
  { additionalProperties: false },
);
export type RolloutQuery = Static<typeof RolloutQuery>;
