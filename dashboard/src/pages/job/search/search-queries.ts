import {
  getSearchSurrogate,
  listSearchPoints,
  type Job,
  type SearchPoint,
  type SearchSurrogate,
} from '@readapt/client';
import { client } from '../../../api/client.ts';
import { partQuery, usePart, type KnownJob } from '../job-queries.ts';

export interface SearchRecord {
  readonly points: readonly SearchPoint[];
  readonly surrogate: SearchSurrogate;
}

const PAGE_SIZE = 200;

/** Query of the search's points in the order of their measurement, and of its surrogate model. */
export const searchQuery = (job: KnownJob) =>
  partQuery<SearchRecord>(job, ['search'], async (signal) => {
    const path = { id: job.id };
    const [points, surrogate] = await Promise.all([
      readPoints(job.id, signal),
      getSearchSurrogate({ client, path, signal }),
    ]);
    return { points, surrogate };
  });

export const useSearchRecord = (job: Job) => usePart(searchQuery(job));

async function readPoints(id: string, signal: AbortSignal): Promise<SearchPoint[]> {
  const points: SearchPoint[] = [];
  let cursor: string | undefined;
  do {
    const page = await listSearchPoints({ client, path: { id }, query: { limit: PAGE_SIZE, cursor }, signal });
    points.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return points;
}
