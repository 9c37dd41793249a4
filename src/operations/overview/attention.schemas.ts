import Type, { type Static } from 'typebox';
import { Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

/** Largest number of entries of one kind in the list of what needs attention. */
export const MOST_OF_A_KIND = 100;
/** Number of days before its retirement from which a base model version is in the list of what needs attention. */
export const RETIRES_WITHIN_DAYS = 30;
/** Number of days for which a failed rollout stays in the list of what needs attention. */
export const FAILED_WITHIN_DAYS = 7;

export const ATTENTION_KINDS = [
  'wave_awaits_approval',
  'rollout_paused_itself',
  'rollout_failed',
  'deadline_missed',
  'jobs_await_approval',
  'worker_quarantined',
  'webhook_endpoint_disabled',
  'base_model_version_retires',
] as const;
export type AttentionKind = (typeof ATTENTION_KINDS)[number];

const Entry = Type.Object(
  {
    kind: Type.Enum(ATTENTION_KINDS, {
      title: 'AttentionKind',
      description:
        '`wave_awaits_approval`: the next wave of the rollout waits for `POST …/approve`. ' +
        '`rollout_paused_itself`: its policy, its budget or ' +
        'a refused approval has paused it. `rollout_failed`: in the last seven days. `deadline_missed`: the ' +
        'rollout goes on after its ' +
        'deadline. `jobs_await_approval`: `count` jobs of a tenant in the rollout wait until that approves ' +
        'them. `worker_quarantined`: ' +
        'its machine has failed, or its clock is wrong. `webhook_endpoint_disabled`: it has failed for days ' +
        'or is gone. ' +
        '`base_model_version_retires`: within 30 days or already, and `count` adapters have a current version there.',
    }),
    subject_id: Type.String({
      description: 'The rollout, the worker, the webhook endpoint or the base model version that it is about.',
    }),
    name: Type.String({ description: 'What people call it, for example the base model and its version.' }),
    tenant_id: Nullable(Id('tenant', 'The tenant that it is about; null if it is about the service.')),
    since: Nullable(Timestamp),
    count: Nullable(Type.Integer({ description: 'Number of jobs or adapters; null where nothing is counted.' })),
    reason: Nullable(Type.String({ description: 'Reason in words or as a code, if it is known.' })),
  },
  { title: 'AttentionEntry', description: 'Something that waits for a person.' },
);
export type AttentionEntry = Static<typeof Entry>;

export const Attention = Type.Object(
  {
    data: Type.Array(Entry, {
      description: 'Entries, those that have waited longest first; at most 100 of each kind.',
    }),
    counts: Type.Partial(Type.Object(Object.fromEntries(ATTENTION_KINDS.map((kind) => [kind, Type.Integer()]))), {
      title: 'AttentionCounts',
      description: 'Number of entries of each kind. Kinds without entries are left out.',
    }),
  },
  { title: 'Attention', description: 'What waits for a person.' },
);
export type Attention = Omit<Static<typeof Attention>, 'counts'> & { counts: Partial<Record<AttentionKind, number>> };
