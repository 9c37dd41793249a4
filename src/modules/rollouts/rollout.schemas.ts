import Type, { type Static } from 'typebox';
import { PageQuery } from '../../lib/pagination.ts';
import { Id, Name, Nullable, Timestamp } from '../../lib/schemas.ts';
import { ROLLOUT_STATES } from './rollout.states.ts';

/** How the fleet is carried over. Budgets that are left out take the method's defaults. */
export const RolloutOptions = Type.Object(
  {
    strategy: Type.Optional(
      Type.Enum(['auto', 'reuse', 'revert', 'relora', 'relora-paper', 'warm-start', 'scratch'] as const, {
        default: 'auto',
        description: 'auto tries the cheapest first and stops at the first that passes the gate.',
      }),
    ),
    prefer: Type.Optional(
      Type.Enum(['old_behavior', 'new_base'] as const, {
        default: 'old_behavior',
        description:
          'Of auto: old_behavior tries second to undo the change of the base; new_base undoes half of it at most, and all of it only when everything else has failed.',
      }),
    ),
    max_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description: 'Optimizer steps at most, of all training of an adapter.',
      }),
    ),
    batch_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 4096 })),
    learning_rate: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        description: 'Peak rate, also of controls. Left out, it goes by strategy and width of the model.',
      }),
    ),
    regularize_towards: Type.Optional(
      Type.Enum(['initial', 'zero'] as const, {
        default: 'initial',
        description: 'What the L2 penalty of fine-tuning pulls towards: the initial adapter, or zero.',
      }),
    ),
    regularize_space: Type.Optional(
      Type.Enum(['factors', 'product'] as const, {
        default: 'factors',
        description: 'What it pulls: the elements of the factors, or the product of both.',
      }),
    ),
    regularize_schedule: Type.Optional(
      Type.Enum(['two_stage', 'cosine', 'linear', 'none'] as const, {
        default: 'two_stage',
        description: 'How its strength goes to zero over the steps; none is no penalty.',
      }),
    ),
    regularize_strength: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1000, description: 'Its strength at the start.' }),
    ),
    evaluate_every: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Optimizer steps between two looks at the gate.' }),
    ),
    search_evaluations: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1000,
        description:
          'Points that the search for α and β may measure, the copy included; 0 for none. Default 6, of relora-paper 12.',
      }),
    ),
    search_rows: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Rows that it measures on.' }),
    ),
    coefficients: Type.Optional(
      Type.Enum(['both', 'alpha', 'beta'] as const, {
        default: 'both',
        description: 'Which of α and β the search moves; the other stays what it is in a copy (α 1, β 0).',
      }),
    ),
    grouping: Type.Optional(
      Type.Enum(['global', 'block', 'depth', 'module'] as const, {
        default: 'global',
        description:
          'Which modules share α and β: all; those of attention and of the MLP; four bands of layers; none. All but global find them by a few gradients on the search rows instead of the search.',
      }),
    ),
    fusion_rank: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1024,
        default: 0,
        description: "Largest rank that a fused adapter may grow to; 0 keeps the old adapter's. No module shrinks.",
      }),
    ),
    fusion_energy: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: 1,
        description:
          'Of a rank that may grow: the smallest one is taken that holds this share of the energy Σ σ² of the fused update.',
      }),
    ),
    refine_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description:
          'Optimizer steps to go on after readiness; only a version that is better beyond noise is published again.',
      }),
    ),
    patience: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description:
          'Of auto: looks at the gate without a better one until fine-tuning gives up and leaves the rest of the steps to training from scratch; 0: never.',
      }),
    ),
    control: Type.Optional(
      Type.Enum(['none', 'sample', 'all'] as const, {
        default: 'none',
        description: 'Adapters that are also trained from scratch, after all others, to measure the speed-up.',
      }),
    ),
    control_fraction: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, default: 0.5, description: 'Share of the adapters in the sample.' }),
    ),
    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, default: 0 })),
  },
  { title: 'RolloutOptions', additionalProperties: false },
);
export type RolloutOptions = Static<typeof RolloutOptions>;

/** The options that a rollout's row stores: they have the defaults that the service itself needs. */
export type StoredOptions = RolloutOptions &
  Required<Pick<RolloutOptions, 'strategy' | 'control' | 'control_fraction' | 'seed'>>;

export function withDefaults(options: RolloutOptions): StoredOptions {
  return { strategy: 'auto', control: 'none', control_fraction: 0.5, seed: 0, ...options };
}

const Counts = Type.Record(Type.String(), Type.Integer(), {
  description: 'Number of jobs by state. States without a job are left out.',
});

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
          'Median of the time of a control divided by the time of its adapter, both without the wait in the queue.',
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
        'planning: waiting for a worker. analyzing: files are verified and the evolutions computed. adapting: jobs run. ' +
        'completed: all jobs have ended. failed: see `error`.',
    }),
    options: RolloutOptions,
    error: Nullable(
      Type.Object(
        { code: Type.String(), message: Type.String() },
        { additionalProperties: true, description: 'Why the rollout failed.' },
      ),
    ),
    jobs: Counts,
    controls: Counts,
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

export const RolloutParams = Type.Object({ id: Id('rollout') });
export const RolloutQuery = Type.Object(
  { ...PageQuery.properties, state: Type.Optional(Type.Enum(ROLLOUT_STATES)) },
  { additionalProperties: false },
);
export type RolloutQuery = Static<typeof RolloutQuery>;
