import type { Queryable } from '../../../platform/database/database.ts';
import { decodePlace, pageArguments, type PageQuery } from '../../../platform/contract/pagination.ts';

/** What a job has tried, as its workers have written it down. */
export const ladderRepository = {
  runs: (db: Queryable, jobId: string) => db.jobLadder.findMany({ where: { jobId }, orderBy: { retriedAfter: 'asc' } }),

  /** All evaluations of its search; of more than a thousand, the first. */
  evaluations: (db: Queryable, jobId: string) =>
    db.searchEvaluation.findMany({ where: { jobId }, orderBy: { index: 'asc' }, take: 1000 }),

  /** A page of the points of its search, the first ones first, each with its place as the identifier of a page. */
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
