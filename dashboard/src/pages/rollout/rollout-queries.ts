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
    // Somebody may still roll back what has ended, and others who look at it should see that.
    every: (rollout) => (rollout !== undefined && isEndOfRollout(rollout.state) ? 15_000 : 1500),
    until: ({ rolled_back_at: rolledBack }) => rolledBack !== null,
  }),
});

/** Another rollback of the same rollout has another time. */
export const rollbackQuery = ({ id, rolled_back_at: at }: Rollout) => ({
  queryKey: [...rolloutKey(id), 'rollback', at],
  queryFn: ({ signal }: Context) => getRollback({ client, path: { id }, signal }),
  staleTime: 60_000,
});

/** What the page knows of the rollout when it asks for something that follows from its jobs. */
type Known = Pick<Rollout, 'id' | 'finished_at'>;

/** While the rollout itself is asked for, it is not known yet whether it has ended. */
export const unread = (id: string): Known => ({ id, finished_at: null });

/** What follows from the rollout's jobs: it is asked again while they go on, and once more when they have ended. */
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
