import { Prisma } from '../../platform/database/database.ts';
import type { JobState } from './job.states.ts';

/** Job after an update, with those columns of its row that {@link RETURNED} selects. */
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
  /** Place of the job in the fair order of the queue, as `startTagsOf` computes it; null for controls. */
  start_tag: number | null;
  /**
   * Whether the job is admitted to the queue or still waits for another job of its rollout to end. Null if the
   * rollout's concurrency is unlimited, and for a job that is held or has ended.
   */
  admission: 'waiting' | 'admitted' | null;
}

/** SQL columns of a {@link ChangedJob}: `j` is the job after the update, and `old` is its row before the update. */
export const RETURNED = Prisma.raw(
  'j.id, j.tenant_id, j.rollout_id, j.adapter_id, j.kind, old.state AS old_state, j.state, j.attempt, ' +
    'j.excused_attempts, j.start_tag, j.admission',
);

/** SQL condition that the job `j` is ready and still being refined. */
export const REFINING = Prisma.sql`(j.state = 'ready' AND j.finished_at IS NULL)`;

export function inState(states: readonly JobState[]): Prisma.Sql {
  return Prisma.sql`j.state = ANY(${states}::job_state[])`;
}
