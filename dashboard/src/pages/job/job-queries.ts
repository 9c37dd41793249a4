import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getJob, getJobLadder, listJobEvents, type Event, type Job, type JobLadder } from '@readapt/client';
import { client } from '../../api/client.ts';
import { polled } from '../../api/polling.ts';

/** How often a page asks for the job itself, and how often for the parts of its record. */
const EVERY_MS = { job: 1500, part: 2000 };
/** The API answers with 1,000 events at the most. A job has more of them only if it was interrupted hundreds of times. */
const MOST_EVENTS = 1000;

/** Whether nothing of a job changes any more. A ready job may still be refined. */
export const isOver = ({ finished_at: finishedAt }: Job): boolean => finishedAt !== null;

export const jobQuery = (id: string) => ({
  queryKey: ['jobs', id],
  queryFn: ({ signal }: { signal: AbortSignal }) => getJob({ client, path: { id }, signal }),
  ...polled<Job>({ every: EVERY_MS.job, until: isOver }),
});

/** What the cache has of a part. The library lets nothing be kept that might be a function, so that it stands in an object. */
export interface Kept<T> {
  readonly part: T;
}

/** A part of a job's record. It is asked for again while the job goes on, and once more when it has ended. */
export function usePart<T>(job: Job, key: readonly unknown[], read: (signal: AbortSignal) => Promise<T>) {
  const ended = isOver(job);
  return useQuery({
    queryKey: ['jobs', job.id, ...key, job.finished_at],
    queryFn: async ({ signal }): Promise<Kept<T>> => ({ part: await read(signal) }),
    select: ({ part }) => part,
    // The components of a page belong to one job, so that what is kept is never that of another.
    placeholderData: keepPreviousData<Kept<T>>,
    ...polled<Kept<T>>({ every: EVERY_MS.part, until: () => ended }),
  });
}

export const useLadder = (job: Job) =>
  usePart<JobLadder>(job, ['ladder'], (signal) => getJobLadder({ client, path: { id: job.id }, signal }));

export const useEvents = (job: Job) =>
  usePart<readonly Event[]>(job, ['events'], async (signal) => {
    const { data } = await listJobEvents({ client, path: { id: job.id }, query: { limit: MOST_EVENTS }, signal });
    return data;
  });

/** Where the page reads from, for "As JSON". */
export const pathsOf = (id: string): string[] => [
  `/v1/jobs/${id}`,
  `/v1/jobs/${id}/ladder`,
  `/v1/jobs/${id}/events`,
  `/v1/jobs/${id}/search-points`,
  `/v1/jobs/${id}/search-surrogate`,
  `/v1/jobs/${id}/metrics`,
];
