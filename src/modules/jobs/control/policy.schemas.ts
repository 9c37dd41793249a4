import Type, { type Static } from 'typebox';
import { Id } from '../../../lib/schemas.ts';

const Share = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, description }));

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
    supersede: Type.Optional(
      Type.Enum(['finish', 'stop'] as const, {
        default: 'finish',
        description:
          'What becomes of jobs that workers run in rollouts to older versions, for adapters that this rollout takes. `finish`: they ' +
          'end, and the jobs of this rollout wait for them. `stop`: they are cancelled. Jobs that no worker runs are cancelled in any case.',
      }),
    ),
    provisional: Type.Optional(
      Type.Enum(['revert', 'reuse', 'none'] as const, {
        default: 'none',
        description:
          'Gives every adapter a version for the new base before any job begins that needs data: `revert` undoes the change of the base as far as ' +
          'the rank reaches, `reuse` copies the adapter. Nobody measures it. It is marked as `provisional`, current only until a version is ' +
          'published, and never the latest version.',
      }),
    ),
    late: Type.Optional(
      Type.Enum(['join', 'next'] as const, {
        default: 'next',
        description:
          'What becomes of adapters that are imported for an older version while the rollout goes on. `join`: they get a job in it. ' +
          '`next`: the next rollout takes them.',
      }),
    ),
  },
  { title: 'RolloutPolicy', additionalProperties: false },
);
export type RolloutPolicy = Static<typeof RolloutPolicy>;
