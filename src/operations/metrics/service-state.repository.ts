import { Prisma, type Database } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { ENTRY_NAMES } from '../../platform/queue/catalog.ts';
import { LIVE_ROLLOUT_STATES } from '../../fleet/rollouts/index.ts';

/** Unfinished work of the service, read from the database for metrics. Ages are in seconds. */
export interface ServiceState {
  rollouts: { state: string; count: number }[];
  awaiting_approval: number;
  jobs: { kind: string; state: string; count: number }[];
  /**
   * Numbers of jobs that have not been handed to the queue yet, by queue. Only the {@link MOST_PENDING} oldest are
   * counted.
   */
  outbox: { queue: string; count: number }[];
  outbox_age: number;
  leases: { held: number; expired: number; age: number };
}

/**
 * Largest number of jobs waiting to be handed to the queue that are counted. A whole fleet may wait while the queue is
 * down.
 */
export const MOST_PENDING = 1000;

const LIVE = Prisma.sql`${[...LIVE_ROLLOUT_STATES]}::rollout_state[]`;

/** Makes the SQL expression that returns the rows of a query as one JSON array. */
const list = (query: Prisma.Sql): Prisma.Sql =>
  Prisma.sql`(SELECT coalesce(jsonb_agg(to_jsonb(listed)), '[]') FROM (${query}) AS listed)`;

/**
 * Reads the unfinished work of the service in one statement, which is cheap for a fleet of any size: it sums up counts
 * that are kept for each rollout, and of the jobs it reads only those that a worker holds.
 */
export async function readServiceState(db: Database): Promise<ServiceState> {
  const seconds = (since: string): Prisma.Sql =>
    Prisma.raw(`coalesce(greatest(0, extract(epoch FROM statement_timestamp() - min(${since}))), 0)::float8`);
  // Only processes of a newer version know the names of entries that such a version wrote, so those are left out.
  const pending = Prisma.sql`
    SELECT queue, created_at FROM (SELECT * FROM outbox ORDER BY created_at, id LIMIT ${MOST_PENDING}) AS oldest
    WHERE payload->>'name' = ANY(${ENTRY_NAMES})`;
  const [row] = await readRows<ServiceState>(
    db,
    Prisma.sql`WITH pending AS MATERIALIZED (${pending}) SELECT
      ${list(Prisma.sql`SELECT state, count(*) FROM rollouts WHERE state = ANY(${LIVE}) GROUP BY 1`)} AS rollouts,
      (SELECT count(*)::int FROM rollouts WHERE state = 'adapting' AND awaiting_approval) AS awaiting_approval,
      ${list(Prisma.sql`
        SELECT c.kind, c.state, sum(c.jobs)::int AS count FROM rollout_counts c JOIN rollouts r ON r.id = c.rollout_id
        WHERE r.state = ANY(${LIVE}) GROUP BY 1, 2`)} AS jobs,
      ${list(Prisma.sql`SELECT queue, count(*) FROM pending GROUP BY 1`)} AS outbox,
      (SELECT ${seconds('created_at')} FROM pending) AS outbox_age,
      (SELECT jsonb_build_object(
        'held', count(*), 'expired', count(*) FILTER (WHERE lease_expires_at < statement_timestamp()),
        'age', ${seconds('leased_at')}) FROM jobs WHERE lease_expires_at IS NOT NULL) AS leases`,
  );
  return row as ServiceState;
}

export const REPLICA_STATES = ['syncing', 'in_sync', 'failed', 'unreachable'] as const;
export type ReplicaStates = Partial<Record<(typeof REPLICA_STATES)[number], number>>;

/** Counts the replicas in each state. A state in which no replica is has no entry. */
export async function readReplicaStates(db: Database): Promise<ReplicaStates> {
  const found = await db.replica.groupBy({ by: ['state'], _count: true });
  return Object.fromEntries(found.map(({ state, _count: count }) => [state, count]));
}
