import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getJob, getJobLadder, listJobEvents, type Event, type Job, type JobLadder } from '@readapt/client';
import { client } from '../../api/client.ts';
import { isSettled, polled } from '../../api/polling.ts';

/** How often a page asks for the job itself, and how often for the parts of its record. */
const EVERY_MS = { job: 1500, part: 2000 };
/** The API answers with 1,000 events at the most. A job has more of them only if it was interrupted hundreds of times. */
const MOST_EVENTS = 1000;

/** Whether nothing of a job changes any more. A ready job may still be refined. */
export const isOver = ({ finished_at: finishedAt }: Job): boolean => finishedAt !== null;

export const jobQuery = (id: string) => ({
  queryKey: jobKey(id),
  queryFn: ({ signal }: { signal: AbortSignal }) => getJob({ client, path: { id }, signal }),
  ...polled<Job>({ every: EVERY_MS.job, until: isOver }),
});

/** What the cache has of a part. The library lets nothing be kept that might be a function, so that it stands in an object. */
export interface Kept<T> {
  readonly part: T;
}

/** What is known of a job when a part of its record is asked for. */
export type KnownJob = Pick<Job, 'id' | 'finished_at'>;

/** While the job itself is asked for, it is not known yet whether it has ended. */
export const unread = (id: string): KnownJob => ({ id, finished_at: null });

export const jobKey = (id: string) => ['jobs', id] as const;

/** A part of a job's record. It is asked for again while the job goes on, and once more when it has ended. */
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
    // The components of a page belong to one job, so that what is kept is never that of another.
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

/** Where the page reads from, for "As JSON". */
export const pathsOf = (id: string): string[] => [
  `/v1/jobs/${id}`,
  `/v1/jobs/${id}/ladder`,
  `/v1/jobs/${id}/events`,
  `/v1/jobs/${id}/search-points`,
  `/v1/jobs/${id}/search-surrogate`,
  `/v1/jobs/${id}/metrics`,
];
