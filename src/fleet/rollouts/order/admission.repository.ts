import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { RETURNED, type ChangedJob } from '../../jobs/index.ts';
import { IS_ABOUT_TO_BE_TAKEN, newerInPlanning } from './newer-rollouts.ts';
import { IS_LIMITED, startTagsOf, WAITING } from './start-tags.ts';

/** SQL for the number of further jobs that the rollout `r` may have in the queue. */
const ROOM = Prisma.sql`((r.options #>> '{policy,concurrency}')::int - (
  SELECT count(*) FROM jobs t WHERE t.rollout_id = r.id AND t.admission = 'admitted' AND t.finished_at IS NULL
    AND t.paused_at IS NULL))`;

/** Next adaptations to admit. Controls have no start tag and come last. Ready jobs need no start tag and come first. */
const NEXT = Prisma.sql`
  SELECT n.id, n.tenant_id, (n.start_tag, n.id) AS place FROM next n WHERE n.kind = 'adaptation'
    AND n.state <> 'ready'`;

const LOCK = Prisma.sql`pg_advisory_xact_lock(hashtextextended('readapt.start_tags', 0))::text AS locked`;

/** Queries that enforce the concurrency of a rollout. */
export const admissionRepository = {
  /**
   * Serializes the assignment of start tags until the transaction ends. Concurrent transactions could give a tenant the
   * same tags.
   */
  lockStartTags: (tx: Transaction) => tx.$queryRaw`SELECT ${LOCK}`,

  /** Locks the start tags if the rollout has limited concurrency; false if its concurrency is unlimited. */
  async lockLimited(tx: Transaction, rolloutId: string): Promise<boolean> {
    const locked = await tx.$queryRaw<unknown[]>`
      SELECT ${LOCK} FROM rollouts r WHERE r.id = ${rolloutId} AND ${IS_LIMITED}`;
    return locked.length > 0;
  },

  /**
   * Running rollouts that have waiting jobs and room for them. This happens when an earlier admission skipped locked
   * jobs.
   */
  withRoom: (db: Queryable) =>
    db.$queryRaw<{ id: string }[]>`
      SELECT r.id FROM rollouts r WHERE r.state IN ('analyzing', 'adapting') AND ${IS_LIMITED}
        AND EXISTS (SELECT 1 FROM jobs j WHERE j.rollout_id = r.id AND ${WAITING}) AND ${ROOM} > 0`,

  /**
   * Admits the next waiting jobs of a running rollout, as many as there is room for. It skips jobs locked by another
   * transaction: waiting for one would deadlock if that transaction waits for the counts of the rollout. It also skips
   * jobs whose adapter a newer rollout is about to take.
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
