import Type, { type Static } from 'typebox';
import { PRIORITIES } from '../../platform/queue/priorities.ts';
import { labelsOf } from '../../platform/contract/labels.ts';
import { MAX_URL } from '../../platform/outgoing/target.ts';
import { Id, requestedTime, StrategySchema, used } from '../../platform/contract/schemas.ts';

const Share = (description: string) => Type.Optional(Type.Number({ minimum: 0, maximum: 1, description }));

/**
 * Largest limit of concurrency that a policy can set. A larger one would have no effect, because no fleet has as many
 * workers.
 */
const MAX_CONCURRENCY = 100_000;

const Wave = Type.Union(
  [
    Type.Object(
      {
        percent: Type.Number({
          exclusiveMinimum: 0,
          maximum: 100,
          description: 'Share of all adapters of the rollout.',
        }),
      },
      { title: 'WaveByPercent', additionalProperties: false, description: 'A wave of a share of all adapters.' },
    ),
    Type.Object(
      { count: Type.Integer({ minimum: 1, description: 'Number of adapters.' }) },
      { title: 'WaveByCount', additionalProperties: false, description: 'A wave of a number of adapters.' },
    ),
    Type.Object(
      {
        label: labelsOf({
          description:
            'The adapters with all of these labels that are in no wave before; without any, all of them. Tenants ' +
            'see none of the labels.',
        }),
      },
      { title: 'WaveByLabels', additionalProperties: false, description: 'A wave of the adapters with some labels.' },
    ),
  ],
  { title: 'RolloutWave', description: 'A wave, by its size or by labels.' },
);

const PauseIf = Type.Object(
  {
    unready_share: Share('Pause if more than this share of the jobs of a wave ends as `not_ready` or `failed`.'),
    metric_drop: Type.Optional(
      Type.Number({
        description:
          'Pause if the published versions of a wave are worse than those before them by more than this on average. ' +
          'Adapters whose metric is the loss do not count. On prompts alone, disagreement with the version that ' +
          'answers them counts as worse.',
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
  { title: 'PauseConditions', additionalProperties: false, description: 'When a wave pauses its rollout.' },
);
export type PauseIf = Static<typeof PauseIf>;

const Approve = Type.Union(
  [
    Type.Enum(['auto', 'manual'] as const, {
      title: 'ApprovalMode',
      description: '`auto`: waves begin by themselves. `manual`: the operator approves each one after the first.',
    }),
    Type.Object(
      {
        url: Type.String({ minLength: 1, maxLength: MAX_URL, description: 'Whom to ask, by a signed POST.' }),
        timeout_ms: Type.Optional(
          Type.Integer({ minimum: 100, maximum: 30_000, default: 15_000, description: 'How long an answer may take.' }),
        ),
      },
      {
        title: 'ApprovalService',
        additionalProperties: false,
        description: 'A service that is asked by HTTP whether a wave may begin. Only the operator sees it.',
      },
    ),
  ],
  {
    title: 'WaveApproval',
    default: 'auto',
    description:
      'Each wave after the first waits until it is approved: with `manual` by the operator, with a `url` by the ' +
      'answer from there as well.',
  },
);

const Selection = Type.Object(
  {
    tenants: Type.Optional(
      Type.Array(Id('tenant'), { maxItems: 10_000, description: 'All adapters of these tenants.' }),
    ),
    adapters: Type.Optional(Type.Array(Id('adapter'), { maxItems: 10_000, description: 'These adapters.' })),
    labels: Type.Optional(
      labelsOf({
        description:
          'Of these adapters, or of all if neither `tenants` nor `adapters` is given, those with all of these labels.',
        minProperties: 1,
      }),
    ),
  },
  {
    title: 'RolloutSelection',
    additionalProperties: false,
    description:
      'Which adapters the rollout takes, of those that it would take without this: those that `tenants` or ' +
      '`adapters` names, and of them those with the `labels`. Another rollout takes the others later. Only the ' +
      'operator sees it.',
  },
);

/** Schema of the policy of a rollout. */
export const RolloutPolicy = Type.Object(
  {
    selection: Type.Optional(Selection),
    waves: Type.Optional(
      Type.Array(Wave, {
        maxItems: 20,
        description:
          'The waves by size or label, the canary first; all other adapters are the last wave. Jobs of a wave are ' +
          '`held` until the wave before has ended. Without it, all adapters are one wave.',
      }),
    ),
    approve: Type.Optional(Approve),
    pause_if: Type.Optional(PauseIf),
    priority: Type.Optional(
      Type.Enum(PRIORITIES, {
        title: 'RolloutPriority',
        description:
          'Jobs of a rollout that is `high` begin before those of all that are `normal`, as it is by default, and ' +
          'these before those that are `low`.',
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
      requestedTime(
        'When all adapters should be carried over. Of one tenant, jobs with an earlier deadline begin first. When it ' +
          'passes before that, the event `rollout.deadline_missed` says so, and the rollout goes on.',
      ),
    ),
    budget_device_seconds: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description:
          'Pause when the jobs of the rollout have held devices for more seconds than this. Each resumption ' +
          'gives it as many again.',
      }),
    ),
    strategy: Type.Optional(
      used(StrategySchema, { description: '`strategy` of the options, unless these say it themselves.' }),
    ),
    control_fraction: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: '`control_fraction` of the options with `control: sample`, unless these say either themselves.',
      }),
    ),
    supersede: Type.Optional(
      Type.Enum(['finish', 'stop'] as const, {
        title: 'SupersedeMode',
        default: 'finish',
        description:
          'What becomes of jobs that workers run in rollouts to older versions, for adapters that this rollout ' +
          'takes. `finish`: they end, and the jobs of this rollout wait for them. `stop`: they are cancelled. Jobs ' +
          'that no worker runs are cancelled in any case.',
      }),
    ),
    provisional: Type.Optional(
      Type.Enum(['revert', 'reuse', 'none'] as const, {
        title: 'ProvisionalMode',
        default: 'none',
        description:
          'Gives every adapter a version for the new base before any job begins that needs data: `revert` undoes the ' +
          'change of the base as far as the rank reaches, `reuse` copies the adapter. Nobody measures it. It is ' +
          'marked as `provisional`, current only until a version is published, and never the latest version.',
      }),
    ),
    late: Type.Optional(
      Type.Enum(['join', 'next'] as const, {
        title: 'LateAdapters',
        default: 'next',
        description:
          'What becomes of adapters that are imported for an older version while the rollout goes on. `join`: ' +
          'they get a job in it. `next`: the next rollout takes them.',
      }),
    ),
  },
  {
    title: 'RolloutPolicy',
    description: 'How a rollout is steered. Without one, it takes the whole fleet at once.',
    additionalProperties: false,
  },
);
export type RolloutPolicy = Static<typeof RolloutPolicy>;

/** Removes from a policy the address that approves waves, which tenants must not see: they see `manual` instead. */
export function withoutAddress<P extends Pick<RolloutPolicy, 'approve'>>(policy: P): P {
  return typeof policy.approve === 'object' ? { ...policy, approve: 'manual' } : policy;
}
