import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { heldBack } from '../order/held-back.ts';
import { ACCRUE, CLOCK, RETURNED, type ChangedJob } from '../../jobs/index.ts';
import { IS_LIMITED, startTagsOf } from '../order/start-tags.ts';

/**
 * Jobs of a rollout to pause or resume: either the given ones or, after the rollout itself was paused or resumed, up to
 * `limit` jobs that still have to be paused or resumed with it, in the order of their identifiers.
 */
export type JobsToHold = { readonly rolloutId: string } & (
  | { readonly jobIds: readonly string[] }
  | { readonly limit: number }
);

/**
 * Makes the SQL condition that a job can be paused. A job that is paused on its own must not be ready. A job that is
 * paused with its rollout may be ready and still being refined, but must not be held.
 */
function pausable(which: JobsToHold): Prisma.Sql {
  return 'jobIds' in which
    ? Prisma.sql`id = ANY(${[...which.jobIds]}::text[]) AND state <> 'ready'`
    : Prisma.sql`rollout_id = ${which.rolloutId} AND state <> 'held'`;
}

function resumable(which: JobsToHold): Prisma.Sql {
  return 'jobIds' in which
    ? Prisma.sql`id = ANY(${[...which.jobIds]}::text[])`
    : Prisma.sql`rollout_id = ${which.rolloutId} AND (paused_by = 'rollout' OR (
        state = 'held' AND NOT EXISTS (
          SELECT 1 FROM rollouts r WHERE r.id = ${which.rolloutId} AND ${heldBack(Prisma.sql`jobs`)})))`;
}

const HELD_BACK = heldBack(Prisma.sql`j`);

function limitOf(which: JobsToHold): number | null {
  return 'limit' in which ? which.limit : null;
}

/** SQL that selects, among the resumed jobs `old`, those that enter the queue and need a start tag. */
const RESUMED = Prisma.sql`
  SELECT o.id, o.tenant_id, o.id AS place FROM old o JOIN rollouts r ON r.id = o.rollout_id
  WHERE o.kind = 'adaptation' AND o.state <> 'ready' AND NOT ${heldBack(Prisma.sql`o`)}`;

/** Updates that pause and resume jobs. They change only jobs whose state allows it, and return the changed jobs. */
export const pauseRepository = {
  /**
   * Pauses those of the jobs that are unfinished and not paused. If a worker has leased a job, the lease is removed,
   * which the worker notices at its next heartbeat, and the worker's attempt does not count. A ready job stays ready,
   * and only its refinement pauses.
   */
  pause: (tx: Transaction, which: JobsToHold): Promise<ChangedJob[]> =>
    tx.$queryRaw<ChangedJob[]>`
      ${CLOCK}
      UPDATE jobs j SET ${ACCRUE},
        state = CASE WHEN j.state = 'ready' THEN j.state ELSE 'paused' END,
        phase = CASE WHEN j.ttr_ms IS NULL THEN 'held' ELSE j.phase END,
        excused_attempts = j.excused_attempts + CASE WHEN j.lease_owner IS NULL THEN 0 ELSE 1 END,
        paused_at = clock.now, paused_by = ${'jobIds' in which ? 'job' : 'rollout'}, admission = NULL,
        lease_owner = NULL, lease_expires_at = NULL, updated_at = clock.now
      FROM clock,
        (SELECT id, state FROM jobs WHERE ${pausable(which)} AND finished_at IS NULL AND paused_at IS NULL
          ORDER BY id LIMIT ${limitOf(which)}::int FOR NO KEY UPDATE) AS old
      WHERE j.id = old.id
      RETURNING ${RETURNED}`,

  /**
   * Marks jobs that were paused with their rollout as paused on their own, so that resuming the rollout does not resume
   * them.
   */
  keepPaused: (tx: Transaction, jobIds: readonly string[]) =>
    tx.$executeRaw`
      UPDATE jobs SET paused_by = 'job', updated_at = clock_timestamp()
      WHERE id = ANY(${[...jobIds]}::text[]) AND state = 'paused' AND paused_by = 'rollout'`,

  /**
   * Queues paused jobs, and held jobs of a released wave, with new start tags. In a rollout of limited concurrency they
   * wait to be admitted. Jobs that something else holds become held. A ready job is refined further, and comes before
   * all others, including those that wait to be admitted.
   */
  resume: (tx: Transaction, which: JobsToHold): Promise<ChangedJob[]> =>
    tx.$queryRaw<ChangedJob[]>`
      ${CLOCK},
      old AS MATERIALIZED (
        SELECT id, tenant_id, rollout_id, kind, state, wave, approval FROM jobs
        WHERE ${resumable(which)} AND finished_at IS NULL AND (paused_at IS NOT NULL OR state = 'held')
        ORDER BY id LIMIT ${limitOf(which)}::int FOR NO KEY UPDATE),
      ${startTagsOf(which.rolloutId, RESUMED)}
      UPDATE jobs j SET ${ACCRUE},
        state = CASE WHEN j.state = 'ready' THEN j.state WHEN ${HELD_BACK} THEN 'held' ELSE 'queued' END,
        phase = CASE WHEN j.ttr_ms IS NOT NULL THEN j.phase WHEN ${HELD_BACK} THEN 'held' ELSE 'queue_wait' END,
        paused_at = NULL, paused_by = NULL,
        start_tag = CASE WHEN ${IS_LIMITED} AND j.kind = 'adaptation' AND j.state = 'ready' THEN range.first
          ELSE tags.tag END,
        admission = CASE WHEN ${IS_LIMITED} AND (j.state = 'ready' OR NOT ${HELD_BACK}) THEN 'waiting' END,
        updated_at = clock.now
      FROM clock, range, rollouts r, old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id AND r.id = j.rollout_id
      RETURNING ${RETURNED}`,

  /** Whether a job should be in the queue and no worker has claimed it. */
  async isWaiting(db: Queryable, jobId: string): Promise<boolean> {
    const [row] = await db.$queryRaw<{ waits: boolean }[]>`
      SELECT j.finished_at IS NULL AND j.paused_at IS NULL AND j.lease_owner IS NULL AND j.state IN ('queued', 'ready')
        AND j.admission IS DISTINCT FROM 'waiting' AND r.state NOT IN ('paused', 'cancelled', 'failed') AS waits
      FROM jobs j JOIN rollouts r ON r.id = j.rollout_id WHERE j.id = ${jobId}`;
    return row?.waits ?? false;
  },
};
