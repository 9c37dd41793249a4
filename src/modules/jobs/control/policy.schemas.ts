import Type, { type Static } from 'typebox';
import { STRATEGIES } from '../../../../core/options/job-options.ts';
import { PRIORITIES } from '../../../jobs/priorities.ts';
import { Id } from '../../../lib/schemas.ts';

const Share = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, description }));

/** JavaScript has no leap seconds, and PostgreSQL no year 0. */
const NO_LEAP_SECOND = '^[1-9][^.]*:[0-5]\\d[.Zz+-]';

/** More would limit nothing: no fleet has as many workers. */
const MAX_CONCURRENCY = 100_000;

const Wave = Type.Union([
  Type.Object(
    {
      percent: Type.Number({ exclusiveMinimum: 0, maximum: 100, description: 'Share of all adapters of the rollout.' }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { count: Type.Integer({ minimum: 1, description: 'Number of adapters.' }) },
    { additionalProperties: false },
  ),
]);

const PauseIf = Type.Object(
  {
    unready_share: Share('Pause if more than this share of the jobs of a wave ends as `not_ready` or `failed`.'),
    metric_drop: Type.Optional(
      Type.Number({
        description:
          'Pause if the published versions of a wave are worse than those before them by more than this on average. Adapters whose ' +
          'metric is the loss do not count.',
      }),
    ),
    negative_flips: Share(
      'Pause if the published versions of a wave have more than this share of negative flips on average.',
    ),
    min_jobs: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 5,
        description: 'Judge a wave when so many of its jobs have ended, or all.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type PauseIf = Static<typeof PauseIf>;

const Selection = Type.Object(
  {
    tenants: Type.Optional(
      Type.Array(Id('tenant'), { maxItems: 10_000, description: 'All adapters of these tenants.' }),
    ),
    adapters: Type.Optional(Type.Array(Id('adapter'), { maxItems: 10_000, description: 'These adapters.' })),
  },
  {
    additionalProperties: false,
    description:
      'Which adapters the rollout takes, of those that it would take without this. Another rollout takes the others later. Only the operator sees it.',
  },
);

/** How a rollout is steered. */
export const RolloutPolicy = Type.Object(
  {
    selection: Type.Optional(Selection),
    waves: Type.Optional(
      Type.Array(Wave, {
        maxItems: 20,
        description:
          'Sizes of the waves, the canary first; all other adapters are the last wave. Jobs of a wave are `held` until the wave ' +
          'before has ended. Without it, all adapters are one wave.',
      }),
    ),
    approve: Type.Optional(
      Type.Enum(['auto', 'manual'] as const, {
        default: 'auto',
        description: '`manual`: each wave after the first waits until it is approved.',
      }),
    ),
    pause_if: Type.Optional(PauseIf),
    priority: Type.Optional(
      Type.Enum(PRIORITIES, {
        description:
          'Jobs of a rollout that is `high` begin before those of all that are `normal`, as it is by default, and these before those ' +
          'that are `low`.',
      }),
    ),
    concurrency: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_CONCURRENCY,
        description:
          'Most jobs of the rollout that run at a time. The others are `queued`. Without it, all workers may run some.',
      }),
    ),
    deadline: Type.Optional(
      Type.String({
        format: 'date-time',
        pattern: NO_LEAP_SECOND,
        description:
          'When all adapters should be carried over. Of one tenant, jobs with an earlier deadline begin first. When it passes before ' +
          'that, the event `rollout.deadline_missed` says so, and the rollout goes on.',
      }),
    ),
    budget_device_seconds: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description:
          'Pause when the jobs of the rollout have held devices for more seconds than this. Each resumption gives it as many again.',
      }),
    ),
    strategy: Type.Optional(
      Type.Enum(STRATEGIES, { description: '`strategy` of the options, unless these say it themselves.' }),
    ),
    control_fraction: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: '`control_fraction` of the options with `control: sample`, unless these say either themselves.',
      }),
    ),
  },
  { title: 'RolloutPolicy', additionalProperties: false },
);
export type RolloutPolicy = Static<typeof RolloutPolicy>;
