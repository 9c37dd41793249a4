import Type, { type Static } from 'typebox';
import { MAX_URL } from '../../../lib/outgoing/target.ts';
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

const Approve = Type.Union(
  [
    Type.Enum(['auto', 'manual'] as const),
    Type.Object(
      {
        url: Type.String({ minLength: 1, maxLength: MAX_URL, description: 'Whom to ask, by a signed POST.' }),
        timeout_ms: Type.Optional(
          Type.Integer({ minimum: 100, maximum: 30_000, default: 15_000, description: 'How long an answer may take.' }),
        ),
      },
      { additionalProperties: false, description: 'Only the operator sees it.' },
    ),
  ],
  {
    default: 'auto',
    description:
      'Each wave after the first waits until it is approved: with `manual` by the operator, with a `url` by the answer from there as well.',
  },
);

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
    approve: Type.Optional(Approve),
    pause_if: Type.Optional(PauseIf),
  },
  { title: 'RolloutPolicy', additionalProperties: false },
);
export type RolloutPolicy = Static<typeof RolloutPolicy>;

/** A policy as tenants see it: that a wave waits for somebody, but not for whom. */
export function withoutAddress<P extends Pick<RolloutPolicy, 'approve'>>(policy: P): P {
  return typeof policy.approve === 'object' ? { ...policy, approve: 'manual' } : policy;
}
