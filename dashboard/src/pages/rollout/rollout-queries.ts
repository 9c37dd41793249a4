import {
  getForecastOfRollout,
  getRollback,
  getRollout,
  getRolloutReport,
  getTtrDistribution,
  isEndOfRollout,
  listJobs,
  type Job,
  type Rollout,
} from '@readapt/client';
import { client } from '../../api/client.ts';
import { isSettled, polled } from '../../api/polling.ts';
import type { EndlessList } from '../../api/use-endless.ts';
import type { RolloutSearch } from '../../routes/search.ts';

interface Context {
  readonly signal: AbortSignal;
}

export const rolloutKey = (id: string) => ['rollouts', id] as const;

export const rolloutQuery = (id: string) => ({
  queryKey: rolloutKey(id),
  queryFn: ({ signal }: Context) => getRollout({ client, path: { id }, signal }),
  ...polled<Rollout>({
    // An ended rollout can still be rolled back, and other viewers should see that.
    every: (rollout) => (rollout !== undefined && isEndOfRollout(rollout.state) ? 15_000 : 1500),
    until: ({ rolled_back_at: rolledBack }) => rolledBack !== null,
  }),
});

/**
 * Query of the last rollback of a rollout. The time of the rollback is part of the query's key, because a rollout can
 * be rolled back again.
 */
export const rollbackQuery = ({ id, rolled_back_at: at }: Rollout) => ({
  queryKey: [...rolloutKey(id), 'rollback', at],
  queryFn: ({ signal }: Context) => getRollback({ client, path: { id }, signal }),
  staleTime: 60_000,
});

/** Fields of a rollout that are needed to query its details: its identifier and its end. */
type Known = Pick<Rollout, 'id' | 'finished_at'>;

/** Stand-in for a rollout that is not loaded yet, so that its details can already be requested. */
export const unloadedRollout = (id: string): Known => ({ id, finished_at: null });

/**
 * Query of details that the service derives from the rollout's jobs. It polls while the rollout runs, and once more
 * after its end.
 */
function ofRollout<T>(
  { id, finished_at: finishedAt }: Known,
  { name, every, read }: { name: string; every: number; read: (context: Context) => Promise<T> },
) {
  return {
    queryKey: [...rolloutKey(id), name],
    queryFn: read,
    ...polled<T>({ every, until: (_, readAt) => isSettled(finishedAt, readAt) }),
  };
}

export const ttrQuery = (rollout: Known) =>
  ofRollout(rollout, {
    name: 'ttr-distribution',
    every: 3000,
    read: ({ signal }) => getTtrDistribution({ client, path: { id: rollout.id }, signal }),
  });

export const forecastQuery = (rollout: Known) =>
  ofRollout(rollout, {
    name: 'forecast',
    every: 5000,
    read: ({ signal }) => getForecastOfRollout({ client, path: { id: rollout.id }, signal }),
  });

export const reportQuery = (rollout: Known) =>
  ofRollout(rollout, {
    name: 'report',
    every: 10_000,
    read: ({ signal }) => getRolloutReport({ client, path: { id: rollout.id }, signal }),
  });

export function jobsOfRollout(
  { id, finished_at: finishedAt }: Known,
  { state, kind, tenant, sort }: RolloutSearch,
): EndlessList<Job> {
  return {
    queryKey: [...rolloutKey(id), 'jobs', { state, kind, tenant, sort }],
    every: finishedAt === null ? 2000 : undefined,
    rowId: (job) => job.id,
    read: ({ cursor, limit, signal }) =>
      listJobs({ client, query: { rollout_id: id, tenant_id: tenant, state, kind, sort, cursor, limit }, signal }),
  };
}
