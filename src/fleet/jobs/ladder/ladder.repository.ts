import type { Queryable } from '../../../platform/database/database.ts';
import { decodePlace, pageArguments, type PageQuery } from '../../../platform/contract/pagination.ts';

/** Queries for the curves and the search points that a job's workers have recorded. */
export const ladderRepository = {
  runs: (db: Queryable, jobId: string) => db.jobLadder.findMany({ where: { jobId }, orderBy: { retriedAfter: 'asc' } }),

  /** All evaluations of a job's search; the first thousand if there are more. */
  evaluations: (db: Queryable, jobId: string) =>
    db.searchEvaluation.findMany({ where: { jobId }, orderBy: { index: 'asc' }, take: 1000 }),

  /** A page of a job's search points, oldest first. The position of a point is its page identifier. */
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
