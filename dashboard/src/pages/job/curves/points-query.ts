import type { QueryClient } from '@tanstack/react-query';
import { listJobMetrics, type MetricPoint } from '@readapt/client';
import { client } from '../../../api/client.ts';
import { jobKey, partQuery, type Kept, type KnownJob } from '../job-queries.ts';

/** Largest number of points that the API returns in one page. */
const PAGE_SIZE = 5000;
/** Largest number of points that the page reads. Of longer trainings, only the first points are shown. */
const MOST_POINTS = 100_000;

/**
 * Query of the values that the job recorded while it trained, a point for each value and step. Each poll reads only new
 * points and appends them.
 * @param after number of the attempt after which the run started; null for the first run
 */
export function pointsQuery(queries: QueryClient, job: KnownJob, after: number | null) {
  const key = ['metrics', after];
  return partQuery<readonly MetricPoint[]>(job, key, (signal) => {
    const known = queries.getQueryData<Kept<readonly MetricPoint[]>>([...jobKey(job.id), ...key]);
    return readPoints(job.id, known?.part ?? [], signal);
  });
}

/**
 * Reads the points that the job has recorded since the known ones.
 * @returns all points, oldest first
 */
async function readPoints(
  jobId: string,
  known: readonly MetricPoint[],
  signal: AbortSignal,
): Promise<readonly MetricPoint[]> {
  const points = [...known];
  while (points.length < MOST_POINTS) {
    const query = { limit: PAGE_SIZE, since_id: points.at(-1)?.id };
    const { data } = await listJobMetrics({ client, path: { id: jobId }, query, signal });
    points.push(...data);
    if (data.length < PAGE_SIZE) break;
  }
  return points;
}
