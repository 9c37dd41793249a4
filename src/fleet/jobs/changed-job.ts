import { Prisma } from '../../platform/database/database.ts';
import type { JobState } from './job.states.ts';

/** Job after an update, with the columns of {@link RETURNED}. */
export interface ChangedJob {
  id: string;
  tenant_id: string;
  rollout_id: string;
  adapter_id: string;
  kind: 'adaptation' | 'control';
  old_state: JobState;
  state: JobState;
  attempt: number;
  excused_attempts: number;
  /** Place in the fair order (see `startTagsOf`); null for controls. */
  start_tag: number | null;
  /**
   * Place of the job in a rollout of limited concurrency: still waiting for another job to end, or admitted. Null
   * without a limit.
   */
  admission: 'waiting' | 'admitted' | null;
}

/** Columns of a {@link ChangedJob}, for the updated job `j` and its row `old` before the update. */
export const RETURNED = Prisma.raw(
  'j.id, j.tenant_id, j.rollout_id, j.adapter_id, j.kind, old.state AS old_state, j.state, j.attempt, ' +
    'j.excused_attempts, j.start_tag, j.admission',
);

/** Condition that the job `j` is ready and is still being refined. */
export const REFINING = Prisma.sql`(j.state = 'ready' AND j.finished_at IS NULL)`;

export function inState(states: readonly JobState[]): Prisma.Sql {
  return Prisma.sql`j.state = ANY(${states}::job_state[])`;
}
