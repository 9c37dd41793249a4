import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

export const Worker = Type.Object(
  {
    id: Id('worker', 'New for each process.'),
    host: Type.String(),
    pid: Type.Integer(),
    version: Type.String({ description: 'The version of Readapt.' }),
    device: Type.String(),
    memory_bytes: Nullable(Type.Number({ description: 'What its training process may take at the most.' })),
    state: Type.Enum(['ready', 'draining', 'quarantined', 'gone'] as const, {
      title: 'WorkerState',
      description:
        '`draining`: it ends its job and takes no other; then it stops or, where `idle_requested_at` is set, ' +
        'waits for its release. `quarantined`: its machine has failed several jobs in a row, and ' +
        'it takes none until `quarantined_until`, or its clock is wrong, and it takes none until that is ' +
        'right. `gone`: it has stopped, or gave no sign of life for 30 s.',
    }),
    reason: Nullable(Type.String({ description: 'Why it is quarantined.' })),
    quarantined_until: Nullable(Timestamp),
    current_job: Nullable(Type.String({ description: 'The job or rollout that it works on.' })),
    jobs_done: Type.Integer({ description: 'Number of queue jobs that it has done since it started.' }),
    jobs_failed: Type.Integer({ description: 'Number of attempts that failed, faults of its machine apart.' }),
    faults: Type.Integer({ description: 'Number of faults of its machine.' }),
    busy_ms: Type.Number({ description: 'How long it has worked on jobs.' }),
    tokens_per_second: Nullable(Type.Number({ description: 'Of the last job that has trained.' })),
    load: Nullable(
      Type.Number({
        description:
          'Share of the last five minutes, or of its life, in which it worked on jobs. Null where it is not ' +
          'known or the worker is gone.',
      }),
    ),
    loaded_base_model_version_ids: Type.Array(Id('baseModelVersion'), {
      description: 'Base model versions that its training process has in memory. Their jobs begin sooner there.',
    }),
    unreadable_base_model_version_ids: Type.Array(Id('baseModelVersion'), {
      description:
        'Base model versions whose folders it could not read when it last tried. It leaves their jobs to others.',
    }),
    drain_requested_at: Nullable(Timestamp),
    idle_requested_at: Nullable(Timestamp),
    started_at: Timestamp,
    seen_at: Type.String({ format: 'date-time', description: 'The last heartbeat; there is one every five seconds.' }),
  },
  { title: 'Worker', description: 'A process that works on jobs.' },
);
export type Worker = Static<typeof Worker>;

export const WorkerParams = Type.Object({ id: Id('worker') });
export const DrainQuery = Type.Object(
  {
    stop: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'False if the worker is not to stop, but to wait until it is released.',
      }),
    ),
  },
  { additionalProperties: false },
);
