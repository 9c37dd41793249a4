import Type, { type Static } from 'typebox';
import { Id, Nullable, requestedTime, Timestamp, used } from '../../platform/contract/schemas.ts';
import { JobPhaseName } from '../jobs/index.ts';
import { RolloutStateName } from '../rollouts/index.ts';

/**
 * Schemas of the quantiles of a time over a group of jobs. A quantile is null if too few of the jobs became ready to
 * reach it.
 */
const quantiles = {
  p50_ms: Nullable(Type.Number({ description: 'Half of the jobs were ready after so many milliseconds.' })),
  p90_ms: Nullable(Type.Number({ description: 'Time within which 90 % of the jobs were ready, in milliseconds.' })),
  max_ms: Nullable(Type.Number({ description: 'The longest time of a job that became ready.' })),
};

const Ttr = Type.Object(quantiles, {
  title: 'TtrQuantiles',
  description:
    'Time to readiness in whole milliseconds, by the estimate of Kaplan and Meier: jobs that are not ready are ' +
    'censored at their end or now. A quantile is null where it is not reached.',
});

const figures = {
  jobs: Type.Integer({ description: 'Number of adaptations.' }),
  ready: Type.Integer(),
  censored: Type.Object(
    {
      unfinished: Type.Integer({ description: 'Number of jobs that have not ended.' }),
      not_ready: Type.Integer(),
      failed: Type.Integer(),
      cancelled: Type.Integer(),
    },
    {
      title: 'CensoredJobs',
      description: 'Adaptations that are not ready, of which only is known that readiness takes longer.',
    },
  ),
  ttr: Ttr,
  ttr_without_held: used(Ttr, {
    description: 'Time to readiness without the time for which somebody wanted jobs to wait.',
  }),
  device_seconds: Type.Number({
    description: 'For how long workers have held the jobs, with attempts that failed, and controls.',
  }),
};

const Group = Type.Object(
  {
    id: Nullable(
      Type.String({ description: 'The tenant, the rollout or the strategy. Null for jobs without a candidate.' }),
    ),
    name: Nullable(Type.String({ description: 'The name of the tenant; null of anything else.' })),
    ...figures,
  },
  { title: 'ReportGroup', description: 'The figures of one tenant, strategy or rollout.' },
);
export type Group = Static<typeof Group>;

const Phase = Type.Object(
  {
    phase: JobPhaseName,
    p50_ms: Nullable(Type.Number()),
    p90_ms: Nullable(Type.Number()),
    max_ms: Nullable(Type.Number()),
    share: Nullable(Type.Number({ description: 'Its part of the time to readiness of all ready jobs together.' })),
  },
  { title: 'PhaseReport', description: 'How long one phase took.' },
);

export const Speedup = Type.Object(
  {
    pairs: Type.Integer({ description: 'Adaptations that are ready and whose control is, too.' }),
    median: Nullable(Type.Number()),
    mean: Nullable(Type.Number({ description: 'The geometric mean.' })),
    low: Nullable(
      Type.Number({
        description: 'Lower end of the 95 % interval of the geometric mean. Null with fewer than five pairs.',
      }),
    ),
    high: Nullable(Type.Number({ description: 'Its upper end.' })),
  },
  {
    title: 'SpeedUp',
    description:
      'How many times the time of an adaptation its control took, which trained the same adapter from scratch: both ' +
      'without the wait in the queue and what was held.',
  },
);

const whole = {
  total: Type.Object(figures, { title: 'ReportTotal', description: 'The figures of all adaptations together.' }),
  phases: Type.Array(Phase, { description: 'Of the jobs that became ready.' }),
  speedup: Speedup,
};

export const RolloutReport = Type.Object(
  {
    rollout_id: Id('rollout'),
    base_model_name: Type.String(),
    version: Type.String({ description: 'The base model version that adapters are carried over to.' }),
    state: used(RolloutStateName, { description: 'The state of the rollout. Figures are final once it has ended.' }),
    ...whole,
    tenants: Type.Array(Group, { description: 'The tenants with the most jobs, up to 1,000.' }),
    tenants_left_out: Type.Integer(),
    strategies: Type.Array(Group, { description: 'By the strategy of the published or the best candidate.' }),
  },
  {
    title: 'RolloutReport',
    description: 'How long the adapters of one rollout took to be ready, by tenant, strategy and phase.',
  },
);
export type RolloutReport = Static<typeof RolloutReport>;

export const GROUPS = ['tenant', 'strategy', 'rollout'] as const;
const Grouping = Type.Enum(GROUPS, { title: 'ReportGrouping', description: 'What a row of the report stands for.' });
export type GroupBy = (typeof GROUPS)[number];

export const TtrQuery = Type.Object(
  {
    from: Type.Optional(requestedTime('Rollouts that were accepted then or later. Default: 30 days before `to`.')),
    to: Type.Optional(requestedTime('Rollouts that were accepted before. Default: all until now.')),
    base_model: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
    ),
    group_by: Type.Optional(used(Grouping, { default: 'rollout' })),
  },
  { additionalProperties: false },
);
export type TtrQuery = Static<typeof TtrQuery>;

export const TtrReport = Type.Object(
  {
    from: Timestamp,
    to: Nullable(Timestamp),
    base_model: Nullable(Type.String({ description: 'As it was asked for.' })),
    rollouts: Type.Integer({ description: 'Number of rollouts that the figures are of.' }),
    ...whole,
    group_by: Grouping,
    groups: Type.Array(Group, { description: 'Up to 1,000 groups: those with the most jobs.' }),
    groups_left_out: Type.Integer(),
  },
  { title: 'TtrReport', description: 'How long adapters took to be ready, over several rollouts.' },
);
export type TtrReport = Static<typeof TtrReport>;

/** Fields that the report on one rollout and the report on several rollouts have in common. */
export type Figures = Pick<TtrReport, 'total' | 'phases' | 'speedup'>;

export const CSV_TYPE = 'text/csv';

export const CsvReport = {
  description:
    'One row for the whole, each group and each phase, by RFC 4180 with a header. Columns are only ever added at ' +
    'the end.',
  content: { [CSV_TYPE]: { schema: Type.String({ description: 'Comma-separated values.' }) } },
};

export const ReportParams = Type.Object({ id: Id('rollout') });
