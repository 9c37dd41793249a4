import type { Database } from '../../platform/database/database.ts';

export const REPLICA_STATES = ['syncing', 'in_sync', 'failed', 'unreachable'] as const;
export type ReplicaStates = Partial<Record<(typeof REPLICA_STATES)[number], number>>;

/** Counts the replicas in each state; states without replicas are missing. */
export async function readReplicaStates(db: Database): Promise<ReplicaStates> {
  const found = await db.replica.groupBy({ by: ['state'], _count: true });
  return Object.fromEntries(found.map(({ state, _count: count }) => [state, count]));
}
