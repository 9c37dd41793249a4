import { surrogateGrid } from '../../../../core/method/search/surrogate-grid.ts';
import type { Database } from '../../../platform/database/database.ts';
import { toPage, type Page, type PageQuery } from '../../../platform/contract/pagination.ts';
import { toTimestamp } from '../../../platform/contract/schemas.ts';
import { ladderRepository as repository } from './ladder.repository.ts';
import type { JobLadder, LadderRun, SearchPoint, SearchSurrogate } from './ladder.schemas.ts';

type Kept = Omit<LadderRun, 'after_attempt' | 'strategy' | 'updated_at'>;

/**
 * Creates the service that reads the ladder and the search of a job. Callers have to check before that the job may be
 * seen.
 */
export function createLadderService({ db }: { db: Database }) {
  return {
    async ladder(jobId: string): Promise<JobLadder> {
      const data = (await repository.runs(db, jobId)).map(({ retriedAfter, ladder, updatedAt, ...run }) => {
        const strategy = run.strategy as LadderRun['strategy'];
        const kept = ladder as unknown as Kept;
        return { after_attempt: retriedAfter, strategy, ...kept, updated_at: toTimestamp(updatedAt) };
      });
      return { recorded: data.length > 0, data };
    },

    /**
     * Computes the surrogate model of a job's search: the loss that Bayesian optimization expects for pairs of fusion
     * coefficients. It is fitted to the points that this job has measured itself.
     */
    async surrogate(jobId: string): Promise<SearchSurrogate> {
      const rows = await repository.evaluations(db, jobId);
      const records = rows.map(({ fusionAlpha: alpha, fusionBeta: beta, rows: count, loss }) => {
        return { alpha, beta, rows: count, loss };
      });
      const grid = surrogateGrid(records);
      return {
        points: rows.length,
        alpha: [...(grid?.alpha ?? [])],
        beta: [...(grid?.beta ?? [])],
        mean: [...(grid?.mean ?? [])],
        standard_deviation: [...(grid?.deviation ?? [])],
      };
    },

    /** Lists the points that a job's search has tried. @throws AppError 400 `invalid_cursor` */
    searchPoints: async (jobId: string, query: PageQuery): Promise<Page<SearchPoint>> =>
      toPage(await repository.searchPoints(db, jobId, query), query, (row) => ({
        index: row.index,
        fusion_alpha: row.fusionAlpha,
        fusion_beta: row.fusionBeta,
        rows: row.rows,
        loss: row.loss,
        duration_ms: row.durationMs,
      })),
  };
}
