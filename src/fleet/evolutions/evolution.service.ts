import type { Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { toPage, type Page, type PageQuery } from '../../platform/contract/pagination.ts';
import { toEvolution, toEvolutionEntry } from './evolution.mapper.ts';
import { evolutionRepository as repository } from './evolution.repository.ts';
import type { EvolutionResource, EvolutionEntry } from './evolution.schemas.ts';

export function createEvolutionService({ db }: { db: Database }) {
  return {
    /** Finds an evolution by its identifier. @throws AppError 404 */
    async get(id: string): Promise<EvolutionResource> {
      const row = await repository.find(db, id);
      if (row === null) throw notFound('evolution', id);
      return toEvolution(row);
    },

    /**
     * Lists the evolutions from older base model versions to the given one, the newest evolution first.
     * @throws AppError 404, 400 `invalid_cursor`
     */
    async listTo(baseModelVersionId: string, query: PageQuery): Promise<Page<EvolutionEntry>> {
      if (!(await repository.baseModelVersionExists(db, baseModelVersionId)))
        throw notFound('base model version', baseModelVersionId);
      return toPage(await repository.pageTo(db, baseModelVersionId, query), query, toEvolutionEntry);
    },
  };
}
