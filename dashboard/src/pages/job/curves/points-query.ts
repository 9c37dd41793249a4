import type { QueryClient } from '@tanstack/react-query';
import { listJobMetrics, type MetricPoint } from '@readapt/client';
import { client } from '../../../api/client.ts';
import { jobKey, partQuery, type Kept, type KnownJob } from '../job-queries.ts';

/** The API answers with 5,000 points at the most. */
const PAGE_SIZE = 5000;
/** Of longer trainings, the first points are shown. */
const MOST_POINTS = 100_000;

/**
 * What was measured while the job trained. Only what is new is read, and put behind what was read before.
 * @param after the attempt after which the run began whose points these are; null for the first one
 */
export function pointsQuery(queries: QueryClient, job: KnownJob, after: number | null) {
  const key = ['metrics', after];
  return partQuery<readonly MetricPoint[]>(job, key, (signal) => {
    const known = queries.getQueryData<Kept<readonly MetricPoint[]>>([...jobKey(job.id), ...key]);
    return readPoints(job.id, known?.part ?? [], signal);
  });
}

/** Reads the points that came after those that are known, oldest first. */
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
