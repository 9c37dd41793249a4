import {
  getForecastOfRollout,
  getRollout,
  getRolloutReport,
  getTtrDistribution,
  isEndOfRollout,
  type Rollout,
} from '@readapt/client';
import { keepPreviousData } from '@tanstack/react-query';
import { client } from '../../api/client.ts';
import { polled } from '../../api/polling.ts';

interface Context {
  readonly signal: AbortSignal;
}

export const rolloutKey = (id: string) => ['rollouts', id] as const;

export const rolloutQuery = (id: string) => ({
  queryKey: rolloutKey(id),
  queryFn: ({ signal }: Context) => getRollout({ client, path: { id }, signal }),
  ...polled<Rollout>({ every: 1500, until: ({ state }) => isEndOfRollout(state) }),
});

/** What follows from the rollout's jobs: it is asked again while they go on, and once more when they have ended. */
function ofRollout<T>(
  rollout: Rollout,
  { name, every, read }: { name: string; every: number; read: (context: Context) => Promise<T> },
) {
  return {
    queryKey: [...rolloutKey(rollout.id), name, rollout.finished_at],
    queryFn: read,
    placeholderData: keepPreviousData,
    ...polled<T>({ every, until: () => rollout.finished_at !== null }),
  };
}

export const ttrQuery = (rollout: Rollout) =>
  ofRollout(rollout, {
    name: 'ttr-distribution',
    every: 3000,
    read: ({ signal }) => getTtrDistribution({ client, path: { id: rollout.id }, signal }),
  });

export const forecastQuery = (rollout: Rollout) =>
  ofRollout(rollout, {
    name: 'forecast',
    every: 5000,
    read: ({ signal }) => getForecastOfRollout({ client, path: { id: rollout.id }, signal }),
  });

export const reportQuery = (rollout: Rollout) =>
  ofRollout(rollout, {
    name: 'report',
    every: 10_000,
    read: ({ signal }) => getRolloutReport({ client, path: { id: rollout.id }, signal }),
  });
