import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getJob, getJobLadder, listJobEvents, type Event, type Job, type JobLadder } from '@readapt/client';
import { client } from '../../api/client.ts';
import { isSettled, polled } from '../../api/polling.ts';

/** Polling intervals in milliseconds: of the job itself, and of its details, such as ladder, events and metrics. */
const EVERY_MS = { job: 1500, part: 2000 };
/** Largest page size that the API allows for events. Only a job interrupted hundreds of times has more. */
const MOST_EVENTS = 1000;

/** Whether the job has ended for good. A ready job may still be refined, and has then not ended. */
export const isOver = ({ finished_at: finishedAt }: Job): boolean => finishedAt !== null;

export const jobQuery = (id: string) => ({
  queryKey: jobKey(id),
  queryFn: ({ signal }: { signal: AbortSignal }) => getJob({ client, path: { id }, signal }),
  ...polled<Job>({ every: EVERY_MS.job, until: isOver }),
});

/**
 * Detail of a job, such as its ladder, as the query cache keeps it. It lies in an object because the library's types
 * reject a `T` that might be a function.
 */
export interface Kept<T> {
  readonly part: T;
}

/** Fields of a job that are needed to query its details: its identifier and its end. */
export type KnownJob = Pick<Job, 'id' | 'finished_at'>;

/** Stand-in for a job that is not loaded yet, so that its details can already be requested. */
export const unloadedJob = (id: string): KnownJob => ({ id, finished_at: null });

export const jobKey = (id: string) => ['jobs', id] as const;

/** Query of a detail of a job, such as its ladder. It polls while the job runs, and once more after its end. */
export function partQuery<T>(job: KnownJob, key: readonly unknown[], read: (signal: AbortSignal) => Promise<T>) {
  return {
    queryKey: [...jobKey(job.id), ...key],
    queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Kept<T>> => ({ part: await read(signal) }),
    ...polled<Kept<T>>({ every: EVERY_MS.part, until: (_, readAt) => isSettled(job.finished_at, readAt) }),
  };
}

export function usePart<T>(query: ReturnType<typeof partQuery<T>>) {
  return useQuery({
    ...query,
    select: ({ part }: Kept<T>) => part,
    // The page remounts its components for another job, so the previous data never belong to another one.
    placeholderData: keepPreviousData<Kept<T>>,
  });
}

export const ladderQuery = (job: KnownJob) =>
  partQuery<JobLadder>(job, ['ladder'], (signal) => getJobLadder({ client, path: { id: job.id }, signal }));

export const useLadder = (job: Job) => usePart(ladderQuery(job));

export const eventsQuery = (job: KnownJob) =>
  partQuery<readonly Event[]>(job, ['events'], async (signal) => {
    const { data } = await listJobEvents({ client, path: { id: job.id }, query: { limit: MOST_EVENTS }, signal });
    return data;
  });

export const useEvents = (job: Job) => usePart(eventsQuery(job));

/** API paths of the job's data, which the page's dialog "As JSON" shows. */
export const pathsOf = (id: string): string[] => [
  `/v1/jobs/${id}`,
  `/v1/jobs/${id}/ladder`,
  `/v1/jobs/${id}/events`,
  `/v1/jobs/${id}/search-points`,
  `/v1/jobs/${id}/search-surrogate`,
  `/v1/jobs/${id}/metrics`,
];
