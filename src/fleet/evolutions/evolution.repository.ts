import type { Prisma, Queryable } from '../../platform/database/database.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';

const VERSIONS = {
  oldBaseModelVersion: { select: { version: true } },
  newBaseModelVersion: { select: { version: true, baseModel: { select: { name: true } } } },
} satisfies Prisma.EvolutionInclude;

export type EvolutionRow = Prisma.EvolutionGetPayload<{ include: typeof VERSIONS }>;

/** Queries on evolutions. They are not confined to a tenant, because all callers may see base models. */
export const evolutionRepository = {
  find: (db: Queryable, id: string): Promise<EvolutionRow | null> =>
    db.evolution.findUnique({ where: { id }, include: VERSIONS }),

  baseModelVersionExists: async (db: Queryable, id: string): Promise<boolean> =>
    (await db.baseModelVersion.count({ where: { id } })) > 0,

  /** Reads one page of the evolutions from older base model versions to the given one. */
  pageTo: (db: Queryable, newBaseModelVersionId: string, query: PageQuery): Promise<EvolutionRow[]> => {
    const { where, ...page } = pageArguments(query);
    return db.evolution.findMany({ ...page, where: { ...where, newBaseModelVersionId }, include: VERSIONS });
  },
};
