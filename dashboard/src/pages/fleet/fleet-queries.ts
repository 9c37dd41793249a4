import { getAttention, getFleet, listBaseModels, listRollouts } from '@readapt/client';
import { infiniteQueryOptions } from '@tanstack/react-query';
import { client } from '../../api/client.ts';
import { polled } from '../../api/polling.ts';

const RUNNING = ['planning', 'analyzing', 'adapting', 'paused'] as const;
const ENDED = ['completed', 'failed', 'cancelled'] as const;
/** Largest number of running and of ended rollouts that the start page shows. */
const SHOWN = { running: 20, ended: 10 };

const states = (words: readonly string[]) => words.map((word) => `state=${word}`).join('&');

/** API paths of the start page's data, which the page's dialog "As JSON" shows. */
export const PATHS = {
  attention: '/v1/attention',
  running: `/v1/rollouts?${states(RUNNING)}&limit=${SHOWN.running}`,
  ended: `/v1/rollouts?${states(ENDED)}&limit=${SHOWN.ended}`,
  baseModels: '/v1/base-models?limit=20',
};

export const attentionQuery = {
  queryKey: ['attention'],
  queryFn: ({ signal }: { signal: AbortSignal }) => getAttention({ client, signal }),
  ...polled({ every: 5000 }),
};

export const runningQuery = {
  queryKey: ['rollouts', 'running'],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    listRollouts({ client, query: { state: [...RUNNING], limit: SHOWN.running }, signal }),
  ...polled({ every: 2000 }),
};

export const endedQuery = {
  queryKey: ['rollouts', 'ended'],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    listRollouts({ client, query: { state: [...ENDED], limit: SHOWN.ended }, signal }),
  ...polled({ every: 10_000 }),
};

export const baseModelsQuery = infiniteQueryOptions({
  queryKey: ['base-models'],
  queryFn: ({ pageParam, signal }) => listBaseModels({ client, query: { cursor: pageParam, limit: 20 }, signal }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
});

export const fleetQuery = (baseModelId: string) => ({
  queryKey: ['fleet', baseModelId],
  queryFn: ({ signal }: { signal: AbortSignal }) => getFleet({ client, path: { model: baseModelId }, signal }),
  ...polled({ every: 5000 }),
});
