import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { RETURNED, type ChangedJob } from '../../jobs/index.ts';
import { IS_ABOUT_TO_BE_TAKEN, newerInPlanning } from './newer-rollouts.ts';
import { IS_LIMITED, startTagsOf, WAITING } from './start-tags.ts';

/** SQL for how many more jobs the rollout `r` may have in the queue or running, given its limit of concurrency. */
const ROOM = Prisma.sql`((r.options #>> '{policy,concurrency}')::int - (
  SELECT count(*) FROM jobs t WHERE t.rollout_id = r.id AND t.admission = 'admitted' AND t.finished_at IS NULL
    AND t.paused_at IS NULL))`;

/**
 * SQL that selects, among the next jobs to admit, the adaptations, which need a start tag for the queue. Two kinds of
 * jobs need none: ready ones, which come first in the queue, and controls, which come last.
 */
const NEXT = Prisma.sql`
  SELECT n.id, n.tenant_id, (n.start_tag, n.id) AS place FROM next n WHERE n.kind = 'adaptation'
    AND n.state <> 'ready'`;

const LOCK = Prisma.sql`pg_advisory_xact_lock(hashtextextended('readapt.start_tags', 0))::text AS locked`;

/** Queries that admit jobs of a rollout to the queue, so that no more run at a time than its policy allows. */
export const admissionRepository = {
  /**
   * Lets only one transaction at a time assign start tags: the lock is held until the transaction ends. Otherwise two
   * transactions could give jobs of a tenant the same tags.
   */
  lockStartTags: (tx: Transaction) => tx.$queryRaw`SELECT ${LOCK}`,

  /**
   * Locks the assignment of start tags if the concurrency of a rollout is limited. Returns false, and locks nothing, if
   * it is unlimited.
   */
  async lockLimited(tx: Transaction, rolloutId: string): Promise<boolean> {
    const locked = await tx.$queryRaw<unknown[]>`
      SELECT ${LOCK} FROM rollouts r WHERE r.id = ${rolloutId} AND ${IS_LIMITED}`;
    return locked.length > 0;
  },

  /**
   * Finds running rollouts of limited concurrency that could admit a waiting job now. There are such rollouts because
   * an admission skips jobs that are locked.
   */
  withRoom: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM rollouts r WHERE r.state IN ('analyzing', 'adapting') AND ${IS_LIMITED}
        AND EXISTS (SELECT 1 FROM jobs j WHERE j.rollout_id = r.id AND ${WAITING}) AND ${ROOM} > 0`,

  /**
   * Admits the next waiting jobs of a running rollout to the queue, as many as its limit of concurrency allows. It
   * skips jobs locked by another transaction: waiting for one would deadlock if that transaction waits for the
   * rollout's counts. It also skips jobs whose adapter a newer rollout is about to take.
   */
  admit: (tx: Transaction, rolloutId: string) =>
    tx.$queryRaw<ChangedJob[]>`
      WITH ${newerInPlanning(rolloutId)},
      next AS MATERIALIZED (
        SELECT j.id, j.tenant_id, j.kind, j.state, j.start_tag FROM jobs j
        WHERE j.rollout_id = ${rolloutId} AND ${WAITING} AND NOT ${IS_ABOUT_TO_BE_TAKEN} ORDER BY j.start_tag, j.id
        LIMIT COALESCE((
          SELECT GREATEST(0, ${ROOM})
          FROM rollouts r WHERE r.id = ${rolloutId} AND r.state IN ('analyzing', 'adapting')), 0)
        FOR NO KEY UPDATE SKIP LOCKED
      ),
      ${startTagsOf(rolloutId, NEXT, 'admitted')}
      UPDATE jobs j SET admission = 'admitted', start_tag = tags.tag, updated_at = clock_timestamp()
      FROM next AS old LEFT JOIN tags ON tags.id = old.id
      WHERE j.id = old.id
      RETURNING ${RETURNED}`,
};
