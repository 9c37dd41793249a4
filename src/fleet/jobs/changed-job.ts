import { Prisma } from '../../platform/database/database.ts';
import type { JobState } from './job.states.ts';

/** A job as an update returns it: see {@link RETURNED}. */
export interface ChangedJob {
  id: string;
  tenant_id: string;
  rollout_id: string;
  adapter_id: string;
  kind: 'adaptation' | 'control';
  /** The state before the change. */
  old_state: JobState;
  /** The state after the change. */
  state: JobState;
  attempt: number;
  excused_attempts: number;
  /** See `startTagsOf`; null for controls. */
  start_tag: number | null;
  /** Where its rollout's concurrency is limited: whether it waits until another job ends. */
  admission: 'waiting' | 'admitted' | null;
}

/** Columns of a {@link ChangedJob}, for the updated job `j` and its row `old` before the update. */
export const RETURNED = Prisma.raw(
  'j.id, j.tenant_id, j.rollout_id, j.adapter_id, j.kind, old.state AS old_state, j.state, j.attempt, j.excused_attempts, ' +
    'j.start_tag, j.admission',
);

/** A ready job that is still being refined. */
export const REFINING = Prisma.sql`(j.state = 'ready' AND j.finished_at IS NULL)`;

export function inState(states: readonly JobState[]): Prisma.Sql {
  return Prisma.sql`j.state = ANY(${states}::job_state[])`;
}
