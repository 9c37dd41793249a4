import Type, { type Static } from 'typebox';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { ErrorOf, ForecastAdapters, Id, Name, Nullable, Timestamp, USE } from '../../platform/contract/schemas.ts';
import { EvolutionAdvice } from '../evolutions/index.ts';
import { CreateRollout, RolloutOptions } from '../rollouts/index.ts';
import { SKIP_REASONS } from './forecast.result.ts';
import { LIKENESSES } from './prediction/likeness.ts';

/** Schema of a request for a forecast. It has the fields of a request for a rollout. */
export const CreateForecast = Type.Object(CreateRollout.properties, {
  title: 'CreateRolloutForecast',
  description: 'The rollout that a forecast is asked for.',
  additionalProperties: false,
});
export type CreateForecast = Static<typeof CreateForecast>;

const Drift = Type.Object(
  { drift: Nullable(Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖; null if there is nothing to compare.' })) },
  { title: 'PartialDrift', description: 'How much one part of the base model has changed.' },
);

const DriftOf = (what: string) =>
  Nullable(
    Type.Record(Type.String(), Drift, {
      description: `Drift of ${what}. Null until the analysis has ended.`,
    }),
  );

const Compatibility = Type.Object(
  {
    old_base_model_version_id: Id('baseModelVersion', 'The version that adapters come from.'),
    adapters: Type.Integer({ description: 'Number of adapters that come from it.' }),
    problem: Nullable(ErrorOf('Why none of them can be carried over; null if they can.')),
    drift: Nullable(
      Type.Number({ description: '‖W_new − W_old‖ / ‖W_old‖ over all modules that adapters can change.' }),
    ),
    drift_by_projection: DriftOf('each projection that adapters can change, over all layers'),
    drift_of_unadaptable: DriftOf('the parts that no adapter changes: embeddings, head, norms and biases'),
    advice: Nullable(EvolutionAdvice),
  },
  {
    title: 'ForecastCompatibility',
    description: 'Whether the adapters of one base model version can be carried over, and what is likely to work.',
  },
);

const Figure = (unit: string) =>
  Type.Object(
    {
      predicted: Nullable(Type.Number({ description: 'The median of the simulated rollouts.' })),
      low: Nullable(Type.Number({ description: 'Nine of ten simulated rollouts took longer.' })),
      high: Nullable(Type.Number({ description: 'Nine of ten simulated rollouts took less.' })),
      actual: Nullable(Type.Number({ description: 'What the rollout has taken; null until it has ended.' })),
      ratio: Nullable(Type.Number({ description: '`actual` / `predicted`.' })),
    },
    {
      title: 'ForecastFigure',
      description: 'A figure that is predicted, with its interval of 80 %, beside what the rollout has taken.',
      [USE]: unit,
    },
  );

const Figures = Type.Object(
  {
    device_seconds: Figure('Seconds for which all adaptations hold a device.'),
    control_device_seconds: Figure('Seconds for which all controls hold a device.'),
    ttr_p50_ms: Figure('Median time to readiness of the adapters that become ready.'),
    ttr_p90_ms: Figure('Time to readiness that nine of ten of them do not exceed.'),
    makespan_ms: Figure('Time from the acceptance to the end of the last adaptation.'),
  },
  { title: 'ForecastFigures', description: 'What a rollout is predicted to take, beside what it has taken.' },
);

const Basis = Type.Object(
  {
    old_base_model_version_id: Id('baseModelVersion'),
    likeness: Nullable(
      Type.Enum([...LIKENESSES], {
        title: 'Likeness',
        description:
          'What the measured jobs have in common with those that are predicted: `pair`, the same two base model ' +
          'versions; `base_model`, the same base model; `size`, nothing, so that they are scaled by parameters and ' +
          'rows. Null where none is known.',
      }),
    ),
    jobs: Type.Integer({ description: 'Number of measured jobs.' }),
    rollouts: Type.Integer({ description: 'Number of rollouts that they belong to.' }),
    text: Type.String({ description: 'Basis of the prediction in words.' }),
  },
  { title: 'ForecastBasis', description: 'Jobs that were measured before, which a prediction follows from.' },
);

const HEAD = {
  id: Id('forecast'),
  base_model_version_id: Id('baseModelVersion', 'The version that the fleet would be carried over to.'),
  base_model_name: Name,
  version: Type.String({ description: 'The version text of that version.' }),
  dry_run: Type.Boolean({
    description: 'Whether it was asked for. A rollout makes one of itself before its jobs are planned.',
  }),
  state: Type.Enum(['queued', 'computing', 'computed', 'failed'] as const, {
    title: 'ForecastState',
    description: 'queued: waiting for a worker. failed: the new version cannot be used, see `error`.',
  }),
  options: RolloutOptions,
  error: Nullable(ErrorOf('Why it failed, or why it waits.')),
  requested_at: Timestamp,
  computed_at: Nullable(Timestamp),
};

const Skipped = Type.Object(
  {
    reason: Type.Enum(SKIP_REASONS, { title: 'SkipReason', description: 'Why adapters are not carried over.' }),
    adapters: Type.Integer({ description: 'Number of adapters.' }),
  },
  { title: 'ForecastSkipped', description: 'Adapters that are not carried over for one reason.' },
);

/** Schema of a forecast in a list, without its results. */
export const ForecastEntry = Type.Object(HEAD, {
  title: 'RolloutForecastEntry',
  description: 'A forecast in a list, without what it has found.',
});
export type ForecastEntry = Static<typeof ForecastEntry>;

export const Forecast = Type.Object(
  {
    ...HEAD,
    rollout_id: Nullable(
      Id(
        'rollout',
        'The rollout whose figures are beside the predicted ones: for a dry run, the first one of the same version ' +
          'and options that was accepted after it.',
      ),
    ),
    compatibility: Type.Array(Compatibility, { description: 'By the base model version that adapters come from.' }),
    adapters: Nullable(ForecastAdapters),
    tenants: Type.Array(
      Type.Object(
        { tenant_id: Id('tenant'), jobs: Type.Integer({ description: 'Number of jobs that run.' }) },
        { title: 'ForecastTenant', description: 'What a rollout would do for one tenant.' },
      ),
      { description: 'The tenants with the most jobs, 1,000 at the most.' },
    ),
    tenant_count: Nullable(Type.Integer({ description: 'Number of tenants with jobs.' })),
    skipped: Type.Array(Skipped, {
      description: 'Adapters that are not carried over, and why.',
    }),
    waves: Type.Array(Type.Integer(), { description: 'Number of adapters of each wave, the canary first.' }),
    workers: Type.Array(
      Type.Object(
        {
          device: Type.String({ description: 'What they compute on.' }),
          workers: Type.Integer({ description: 'Number of workers that are ready and can read the version.' }),
          tokens_per_second: Nullable(
            Type.Number({ description: 'Their median, of the last job that each has trained.' }),
          ),
        },
        { title: 'ForecastWorkers', description: 'The workers of one device.' },
      ),
      { description: 'The workers that the prediction counts on, by device.' },
    ),
    jobs_ahead: Nullable(
      Type.Integer({
        description:
          'Adaptations of other rollouts that wait or run, without those that the rollout would end because it ' +
          'takes their adapters.',
      }),
    ),
    figures: Figures,
    reason: Nullable(Type.String({ description: 'Why a figure is not predicted; null if all are.' })),
    basis: Type.Array(Basis, { description: 'What was measured that the prediction follows from.' }),
    ends_at: Nullable(
      Type.String({
        format: 'date-time',
        description:
          'When the rollout is predicted to end, with its controls; null before it has begun, or if that is not known.',
      }),
    ),
  },
  { title: 'RolloutForecast', description: 'What a rollout would do, and how long it would take.' },
);
export type Forecast = Static<typeof Forecast>;

export const ForecastParams = Type.Object({ id: Id('forecast') });
export const RolloutForecastParams = Type.Object({ id: Id('rollout') });
export const ForecastQuery = Type.Object(
  { ...PageQuery.properties, base_model_version_id: Type.Optional(Id('baseModelVersion')) },
  { additionalProperties: false },
);
export type ForecastQuery = Static<typeof ForecastQuery>;
