import Type, { type Static } from 'typebox';
import { PageQuery } from '../../lib/pagination.ts';
import { Id, Nullable, Timestamp } from '../../lib/schemas.ts';
import { JOB_STATES } from './job.states.ts';
import { PHASES } from '../../../core/options/phases.ts';

const JobKind = Type.Enum(['adaptation', 'control'] as const);
const Milliseconds = Type.Number({ minimum: 0 });

const JobMetric = Type.Object({
  name: Type.String(),
  target: Nullable(Type.Number()),
  old: Nullable(Type.Number({ description: 'The old adapter on the old base.' })),
  none: Nullable(Type.Number({ description: 'The new base without an adapter.' })),
  copy: Nullable(Type.Number({ description: 'The old adapter, unchanged, on the new base.' })),
  published: Nullable(
    Type.Number({
      description: 'The published adapter on the new base; null until one is published. Controls publish none.',
    }),
  ),
  best: Nullable(Type.Number({ description: 'The best candidate so far on the new base, published or not.' })),
});

export const Job = Type.Object(
  {
    id: Id('job'),
    rollout_id: Id('rollout'),
    tenant_id: Id('tenant'),
    adapter_id: Id('adapter'),
    adapter_name: Type.String(),
    kind: JobKind,
    state: Type.Enum(JOB_STATES),
    phase: Type.Enum(PHASES, { description: 'What the clock runs on, or stopped at.' }),
    strategy: Type.String(),
    won_strategy: Nullable(Type.String()),
    fusion_alpha: Nullable(Type.Number()),
    fusion_beta: Nullable(Type.Number()),
    step: Type.Integer(),
    total_steps: Type.Integer(),
    metric: JobMetric,
    ttr_ms: Nullable(
      Type.Number({
        description: 'From the acceptance of the rollout to the first publication; the sum of the phases.',
      }),
    ),
    phases: Type.Object({
      queue_wait: Milliseconds,
      prepare: Milliseconds,
      evolution: Milliseconds,
      initialize: Milliseconds,
      fine_tune: Milliseconds,
      evaluate: Milliseconds,
      publish: Milliseconds,
    }),
    attempt: Type.Integer({ description: 'How often a worker has taken the job.' }),
    error: Nullable(Type.Object({ code: Type.String(), message: Type.String() }, { additionalProperties: true })),
    published_version_id: Nullable(Id('adapterVersion')),
    created_at: Timestamp,
    started_at: Nullable(Timestamp),
    ready_at: Nullable(Timestamp),
    finished_at: Nullable(Timestamp),
    updated_at: Timestamp,
  },
  { title: 'Job' },
);
export type Job = Static<typeof Job>;

export const JobParams = Type.Object({ id: Id('job') });

export const JobQuery = Type.Object(
  {
    ...PageQuery.properties,
    rollout_id: Type.Optional(Id('rollout')),
    adapter_id: Type.Optional(Id('adapter')),
    tenant_id: Type.Optional(Id('tenant')),
    state: Type.Optional(Type.Enum(JOB_STATES)),
    kind: Type.Optional(JobKind),
    updated_since: Type.Optional(
      Type.String({ format: 'date-time', description: 'Only jobs that changed at this time or later.' }),
    ),
  },
  { additionalProperties: false },
);
export type JobQuery = Static<typeof JobQuery>;

export const MetricPoint = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    step: Type.Integer(),
    value: Type.Number(),
    recorded_at: Timestamp,
  },
  { title: 'MetricPoint' },
);
export type MetricPoint = Static<typeof MetricPoint>;

export const MetricQuery = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 100 })),
    since_id: Type.Optional(Type.String({ pattern: '^[0-9]{1,18}$', description: 'Only points after this one.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000, default: 1000 })),
  },
  { additionalProperties: false },
);
export type MetricQuery = Static<typeof MetricQuery>;

export const MetricPoints = Type.Object(
  {
    data: Type.Array(MetricPoint),
    next_since_id: Nullable(Type.String({ description: 'Pass as since_id for what comes later.' })),
  },
  { title: 'MetricPoints' },
);
