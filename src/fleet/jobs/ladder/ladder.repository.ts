import type { Queryable } from '../../../platform/database/database.ts';
import { decodePlace, pageArguments, type PageQuery } from '../../../platform/contract/pagination.ts';

/**
 * Queries on what workers have recorded about a job's strategy: its ladder, and the points that its search has tried.
 */
export const ladderRepository = {
  runs: (db: Queryable, jobId: string) => db.jobLadder.findMany({ where: { jobId }, orderBy: { retriedAfter: 'asc' } }),

  /** Reads the points that a job's search has tried, but no more than the first thousand. */
  evaluations: (db: Queryable, jobId: string) =>
    db.searchEvaluation.findMany({ where: { jobId }, orderBy: { index: 'asc' }, take: 1000 }),

  /**
   * Reads one page of the points that a job's search has tried, oldest first. The number of a point in the search
   * serves as its identifier for paging.
   */
  searchPoints: async (db: Queryable, jobId: string, query: PageQuery) => {
    const after = query.cursor === undefined ? -1 : decodePlace(query.cursor);
    const rows = await db.searchEvaluation.findMany({
      where: { jobId, index: { gt: after } },
      orderBy: { index: 'asc' },
      take: pageArguments(query).take,
    });
    return rows.map((row) => ({ ...row, id: String(row.index) }));
  },
};
