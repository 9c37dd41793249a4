import Type, { type Static } from 'typebox';
import { labelQueryOf } from '../../platform/contract/labels.ts';
import { pageOf, PageQuery } from '../../platform/contract/pagination.ts';
import { sortOf } from '../../platform/contract/sorting.ts';
import {
  ErrorOf,
  Id,
  JobKind,
  Metric,
  Nullable,
  requestedTime,
  severalOf,
  StrategySchema,
  Timestamp,
  used,
} from '../../platform/contract/schemas.ts';
import { POSITION_PATTERN } from '../../delivery/events/index.ts';
import { OwnOptions } from './own-options.schemas.ts';
import { JOB_PHASES, JOB_STATES } from './job.states.ts';

export const JobStateName = Type.Enum(JOB_STATES, {
  title: 'JobState',
  description:
    'queued: waiting for a worker. held: waiting for its wave, for the approval of its tenant, or for the job in ' +
    '`waits_for_job_id`. paused: waiting until it, or its rollout, is resumed. ' +
    'ready: a candidate has passed the gate and, except for a control, is published. not_ready: the budget was used ' +
    'up before one passed, or the gate rows were too few to certify one (`gate_inconclusive` in `error`). ' +
    'failed: see `error`.',
});

/** Schema of the phase on which the clock of a job runs. */
export const JobPhaseName = Type.Enum(JOB_PHASES, {
  title: 'JobPhase',
  description:
    'What the clock of a job runs on: a phase of its work, or the time for which somebody wants it to wait (`held`).',
});
const Milliseconds = Type.Number({ minimum: 0 });

/**
 * Schema of a job's metric values on the gate rows. A value is null until it is known. Values that only reports need
 * are measured when the other jobs of the fleet are done.
 */
const JobMetric = Type.Object(
  {
    name: Metric,
    target: Nullable(Type.Number({ description: 'The value that the gate asks for.' })),
    old: Nullable(Type.Number({ description: 'The value of the old adapter on the old base.' })),
    anchor: Nullable(
      Type.Number({
        description:
          'The value of `anchor_version_id` on its own base, which the margin counts from. Null if the gate is ' +
          'absolute.',
      }),
    ),
    none: Nullable(
      Type.Number({
        description:
          'The value of the new base without an adapter. It may be measured only when no adapter of the fleet ' +
          'waits any more.',
      }),
    ),
    copy: Nullable(
      Type.Number({
        description:
          'The value of the old adapter, unchanged, on the new base. It may be measured only when no adapter ' +
          'waits any more.',
      }),
    ),
    published: Nullable(
      Type.Number({
        description:
          'The value of the published adapter on the new base. Null until one is published; controls publish none.',
      }),
    ),
    best: Nullable(
      Type.Number({ description: 'The value of the best candidate so far on the new base, published or not.' }),
    ),
  },
  { title: 'JobMetric', description: 'Values on the gate rows. Each is null until it is known.' },
);

export const VerdictSchema = Type.Enum(['passed', 'failed', 'inconclusive'] as const, {
  title: 'GateVerdict',
  description:
    '`passed`: certified. `failed`: the value on the gate rows is worse than the margin allows. `inconclusive`: it ' +
    'is not, but the rows are too few to certify it.',
});

const SliceVerdict = Type.Object(
  {
    name: Type.String({ description: 'One of the slices that the gate names.' }),
    margin: Type.Number({ description: 'By how much the value may be worse on the rows of the slice.' }),
    certify: Type.Boolean({ description: 'Whether the slice has to be certified.' }),
    verdict: used(VerdictSchema, {
      description:
        'As that of the certificate, on the rows of the slice. `inconclusive` does not keep the version from ' +
        'being published unless the slice has to be certified.',
    }),
    rows: Type.Integer({ description: 'Number of gate rows in the slice.' }),
    value: Type.Number({ description: 'The value on these rows.' }),
    old: Type.Number({ description: 'The value of the version that the margin counts from, on the same rows.' }),
    bound: Nullable(
      Type.Number({ description: 'The worst true value that the rows leave possible, at the level of the look.' }),
    ),
    rows_needed: Nullable(
      Type.Integer({
        description: 'About how many rows of the slice would certify it, if it is inconclusive and a number would.',
      }),
    ),
  },
  { title: 'SliceVerdict', description: 'What the gate says of a slice.' },
);

export const CertificateSchema = Type.Object(
  {
    verdict: VerdictSchema,
    confidence: Type.Number({ description: 'Confidence over all looks of the job.' }),
    margin: Nullable(
      Type.Number({ description: 'By how much the true value may be worse. Null where a target has to be reached.' }),
    ),
    rows: Type.Integer({ description: 'Number of gate rows that were measured.' }),
    available_rows: Type.Optional(
      Type.Integer({ description: 'Number of gate rows that there are. A look ends when they have shown enough.' }),
    ),
    analyses: Type.Optional(
      Type.Integer({ description: 'How many times the look was analysed while its rows were measured.' }),
    ),
    level: Type.Optional(
      Type.Number({ description: 'The error probability that the look could use, over all its analyses together.' }),
    ),
    looks: Type.Integer({ description: 'Number of looks of the job at the gate rows, the last one included.' }),
    rows_needed: Nullable(
      Type.Integer({ description: 'About how many rows would certify it, if it is inconclusive and a number would.' }),
    ),
    slices: Type.Optional(
      Type.Array(SliceVerdict, { description: 'The critical slices that the gate names. Absent if it names none.' }),
    ),
  },
  {
    title: 'Certificate',
    description: 'What the gate certifies of the published candidate or, if none is, of the best one.',
  },
);

export const Job = Type.Object(
  {
    id: Id('job'),
    rollout_id: Id('rollout'),
    tenant_id: Id('tenant'),
    adapter_id: Id('adapter'),
    adapter_name: Type.String(),
    kind: JobKind,
    state: JobStateName,
    phase: used(JobPhaseName, { description: 'The phase that the clock runs on or has stopped at.' }),
    phase_since: Nullable(
      Type.String({
        format: 'date-time',
        description:
          'Up to when `phases` are counted: the time since then belongs to `phase`. Null when the clock has stopped, ' +
          'because the job is ready or has ended.',
      }),
    ),
    strategy: used(StrategySchema, { description: 'The strategy that was requested.' }),
    own_options: Nullable(
      used(OwnOptions, {
        description: 'Options that it was retried with, in place of those of its rollout; null without any.',
      }),
    ),
    won_strategy: Nullable(
      used(StrategySchema, {
        description: 'The strategy that produced the published candidate or, if none, the best one.',
      }),
    ),
    fusion_alpha: Nullable(Type.Number({ description: 'The fusion coefficient α of that candidate.' })),
    fusion_beta: Nullable(Type.Number({ description: 'The fusion coefficient β of that candidate.' })),
    step: Type.Integer({ description: 'Number of optimizer steps so far.' }),
    total_steps: Type.Integer({ description: 'Largest number of optimizer steps.' }),
    metric: JobMetric,
    certificate: Nullable(CertificateSchema),
    ttr_ms: Nullable(
      Type.Number({
        description:
          'Time to readiness: from the acceptance of the rollout to the first publication. ' +
          'It is the sum of the phases.',
      }),
    ),
    phases: Type.Object(
      {
        queue_wait: Milliseconds,
        held: Milliseconds,
        prepare: Milliseconds,
        evolution: Milliseconds,
        initialize: Milliseconds,
        fine_tune: Milliseconds,
        evaluate: Milliseconds,
        publish: Milliseconds,
      },
      {
        title: 'JobPhases',
        description:
          'Milliseconds that the clock has run on each phase. `held` is the time for which somebody wanted the job ' +
          'to wait: paused, for its wave, an approval or an older job, or ended until it was tried again.',
      },
    ),
    approval: Nullable(
      Type.Enum(['awaited', 'given'] as const, {
        title: 'JobApproval',
        description:
          '`awaited`: it is held until its tenant approves it. Null where the adapter asked for no approval when ' +
          'the job was planned.',
      }),
    ),
    wave: Nullable(Type.Integer({ description: 'Its wave, from 1; null where the rollout has no policy.' })),
    paused_at: Nullable(Timestamp),
    paused_by: Nullable(
      Type.Enum(['job', 'rollout'] as const, {
        title: 'PausedBy',
        description:
          '`job`: it was paused itself, and a resumed rollout leaves it paused. `rollout`: it follows its rollout.',
      }),
    ),
    waits_for_job_id: Nullable(
      Id(
        'job',
        'The job of the adapter in a rollout to an older version that has to end first. The job is held until then.',
      ),
    ),
    attempt: Type.Integer({ description: 'How often a worker has claimed the job.' }),
    error: Nullable(
      ErrorOf(
        'Why the job failed, is not ready or is being retried, or `superseded`: it was cancelled because the rollout ' +
          '`rollout_id` carries the adapter over to a newer version.',
      ),
    ),
    row_format: Nullable(
      Type.Object(
        {
          append_eos: Type.Boolean({ description: 'Whether the end of the text is a label behind each completion.' }),
          append_eos_reason: Type.String({ description: 'Reason for `append_eos`, in words.' }),
          max_length: Type.Integer({ description: 'Largest number of tokens of a row.' }),
        },
        { title: 'RowFormat', description: 'How the rows are written for the model.' },
      ),
    ),
    warnings: Type.Array(Type.String(), {
      description: 'What the owner of the adapter should know, for example which rows are longer than `max_length`.',
    }),
    anchor_version_id: Nullable(
      Id(
        'adapterVersion',
        'The version that the margin counts from: the one that was imported. Where its outcomes on the gate rows are ' +
          'not known and cannot be measured any more, it is the version that is carried over, and `warnings` says so.',
      ),
    ),
    published_version_id: Nullable(Id('adapterVersion', 'The newest adapter version that the job has published.')),
    created_at: Timestamp,
    started_at: Nullable(Timestamp),
    ready_at: Nullable(Timestamp),
    finished_at: Nullable(Timestamp),
    updated_at: Timestamp,
  },
  { title: 'Job', description: 'A job carries one adapter over in a rollout, or trains its control.' },
);
export type Job = Static<typeof Job>;

export const JobParams = Type.Object({ id: Id('job') });

export const JobQuery = Type.Object(
  {
    ...PageQuery.properties,
    rollout_id: Type.Optional(Id('rollout')),
    adapter_id: Type.Optional(Id('adapter')),
    tenant_id: Type.Optional(Id('tenant')),
    state: Type.Optional(severalOf(JobStateName)),
    kind: Type.Optional(JobKind),
    label: Type.Optional(labelQueryOf('jobs whose adapter now has the label `key:value`')),
    sort: Type.Optional(
      sortOf(
        'JobSort',
        ['created', 'finished', 'ttr'],
        'The order of the list; `-created` is the default. By `finished` or `ttr`, it has only jobs that have ended ' +
          'or a time to readiness. It cannot be combined with `changed_after`.',
      ),
    ),
    updated_since: Type.Optional(
      requestedTime(
        'Only jobs that have changed at this time or later. A change whose transaction ends late can be missed: ' +
          '`changed_after` misses none.',
      ),
    ),
    changed_after: Type.Optional(
      Type.String({
        pattern: POSITION_PATTERN,
        description:
          'Only jobs that have changed after this position, those that changed first coming first: the ' +
          '`next_changed_after` of the answer before or the `sequence` of an event; `0` for all. A change appears ' +
          'once all older transactions of the database have ended; until then the job is left out. ' +
          'It takes no `cursor`.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type JobQuery = Static<typeof JobQuery>;

export const JobPage = Type.Object(
  {
    ...pageOf(Job).properties,
    next_changed_after: Nullable(
      Type.String({
        description:
          'Pass it as `changed_after` to get later changes. It is null if the request has no `changed_after`.',
      }),
    ),
  },
  { title: 'JobPage', description: 'A page of `Job`s.' },
);
export type JobPage = Static<typeof JobPage>;

export const MetricPointResource = Type.Object(
  {
    id: Type.String(),
    name: Type.String({ description: 'What was measured, for example `train_loss`.' }),
    step: Type.Integer({ description: 'The optimizer step at which it was measured.' }),
    value: Type.Number(),
    recorded_at: Timestamp,
  },
  { title: 'MetricPoint', description: 'A value that was measured while a job ran.' },
);
export type MetricPointResource = Static<typeof MetricPointResource>;

export const MetricQuery = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 100, description: 'Only values with this name.' })),
    since_id: Type.Optional(
      Type.String({ pattern: '^[0-9]{1,18}$', description: 'Only values after the one with this `id`.' }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 5000,
        default: 1000,
        description: 'Largest number of entries in the answer.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type MetricQuery = Static<typeof MetricQuery>;

export const MetricPoints = Type.Object(
  {
    data: Type.Array(MetricPointResource),
    next_since_id: Nullable(Type.String({ description: 'Pass it as `since_id` to get later values.' })),
  },
  { title: 'MetricPoints', description: 'Values that were measured while a job ran, oldest first.' },
);
