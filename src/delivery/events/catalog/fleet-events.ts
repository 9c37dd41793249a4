import Type from 'typebox';
import {
  ForecastAdapters,
  Id,
  JobKind,
  Nullable,
  PausedReasonSchema,
  Timestamp,
} from '../../../platform/contract/schemas.ts';
import { describeEventType, Failure } from './describe-event.ts';

const from = Type.String({ description: 'The state before.' });
const wave = Type.Integer({ description: 'Number of the wave; the canary is 1.' });

const JobChange = {
  rollout_id: Id('rollout'),
  adapter_id: Id('adapter'),
  kind: JobKind,
  from: Type.Optional(Type.String({ description: 'The state before; absent where the job was just planned.' })),
  attempt: Type.Optional(Type.Integer({ description: 'Number of times that a worker has begun the job.' })),
  reason: Type.Optional(
    Type.Enum(['superseded'] as const, {
      title: 'JobEndReason',
      description: 'Why it has ended, where a newer rollout has taken its adapter.',
    }),
  ),
  superseded_by: Type.Optional(Id('rollout', 'The rollout that has taken its adapter.')),
};
const job = (description: string) => describeEventType(description, JobChange, 'JobChangeData');

/** Events of rollouts and jobs. The type of a job's event names its new state. */
export const FLEET_EVENTS = {
  'rollout.accepted': describeEventType('A rollout was requested.', { base_model_version_id: Id('baseModelVersion') }),
  'rollout.planning': describeEventType('A paused rollout was resumed, which waits for its analysis.', { from }),
  'rollout.analyzing': describeEventType('The analysis of a rollout has begun, or goes on.', { from }),
  'rollout.adapting': describeEventType('The jobs of a rollout run: they are planned, or the rollout goes on.', {
    from,
    jobs: Type.Optional(Type.Integer({ description: 'Number of jobs, where they were just planned.' })),
  }),
  'rollout.paused': describeEventType('A rollout was paused, by somebody or by its policy.', {
    from,
    reason: PausedReasonSchema,
  }),
  'rollout.wave_waiting': describeEventType('The next wave of a rollout waits for an approval.', { wave }),
  'rollout.approval_requested': describeEventType(
    'The service asked the address in the policy whether the next wave of a rollout may begin.',
    {
      wave,
      attempt: Type.Integer({ description: 'Number of requests about this wave, this one included.' }),
    },
  ),
  'rollout.approval_answered': describeEventType('The address in the policy has released a wave or refused it.', {
    wave,
    approved: Type.Boolean(),
    reason: Type.Optional(Type.String({ description: 'Why it was refused.' })),
  }),
  'rollout.approval_unanswered': describeEventType(
    'The address in the policy has not decided about a wave. The service asks again.',
    {
      wave,
      outcome: Type.String({ description: 'Outcome of the request.' }),
      status_code: Nullable(Type.Integer({ description: 'The status of the answer, if there was one.' })),
    },
  ),
  'rollout.wave_released': describeEventType('The jobs of another wave of a rollout may begin.', { wave }),
  'rollout.deadline_missed': describeEventType(
    'The deadline of a rollout has passed before all of its jobs had ended.',
    {
      deadline: Timestamp,
      unfinished: Type.Integer({ description: 'Number of jobs that had not ended.' }),
    },
  ),
  'rollout.superseded': describeEventType('A rollout to a newer base model version has taken adapters of this one.', {
    from: Type.String({ description: 'The state of this rollout.' }),
    superseded_by: Id('rollout', 'The newer rollout.'),
    running: Type.Enum(['finish', 'stop'] as const, {
      title: 'SupersededJobs',
      description: 'Treatment of jobs that workers run.',
    }),
  }),
  'rollout.completed': describeEventType('All jobs of a rollout have ended.', { from }),
  'rollout.failed': describeEventType('A rollout failed before all of its jobs were planned.', { error: Failure }),
  'rollout.cancelled': describeEventType('A rollout was cancelled.', { from }),
  'rollout.rolling_back': describeEventType('A rollback of a rollout has begun.', {}),
  'rollout.rolled_back': describeEventType('A rollback of a rollout has ended.', {
    rolled_back: Type.Integer({ description: 'Number of adapters that have what was current before.' }),
    left_alone: Type.Integer({ description: 'Number of adapters for which something else is current.' }),
  }),
  'rollout_forecast.requested': describeEventType('A forecast of a rollout was requested.', {
    base_model_version_id: Id('baseModelVersion'),
  }),
  'rollout_forecast.computed': describeEventType('A forecast of a rollout is computed.', {
    adapters: ForecastAdapters,
  }),
  'rollout_forecast.failed': describeEventType('A forecast of a rollout could not be computed.', { error: Failure }),
  'job.without_provisional': describeEventType(
    'No provisional version could be made. The job goes on as without one, and one that failed for want of a ' +
      'dataset stays failed.',
    {
      rollout_id: Id('rollout'),
      adapter_id: Id('adapter'),
      error: Failure,
    },
  ),
  'job.queued': job('A job waits for a worker.'),
  'job.held': job('A job waits for its wave, for its tenant, or for a job to an older version.'),
  'job.approved': describeEventType('A tenant has approved a job that waited for it.', {
    rollout_id: Id('rollout'),
    adapter_id: Id('adapter'),
  }),
  'job.paused': job('A job was paused, by itself or with its rollout.'),
  'job.preparing': job('A worker has begun a job.'),
  'job.initializing': job('A job looks for its starting point.'),
  'job.fine_tuning': job('A job trains.'),
  'job.evaluating': job('A job asks the gate.'),
  'job.ready': describeEventType('A job has published a version of its adapter.', {
    ...JobChange,
    published_version_id: Type.Optional(Id('adapterVersion', 'The version of the adapter that it has published.')),
  }),
  'job.not_ready': job('A job has ended without a version that its gate lets through.'),
  'job.failed': job('A job has failed.'),
  'job.cancelled': job('A job was cancelled.'),
} as const;
