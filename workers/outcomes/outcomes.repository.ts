import type { Prisma, Queryable } from '../../src/platform/database/database.ts';

const NEEDED = {
  baseModelVersion: { select: { id: true, version: true, path: true, sourceKey: true } },
  adapter: { include: { dataset: true } },
} satisfies Prisma.AdapterVersionInclude;

/** Adapter version with the related rows that its measurement needs. */
export type LoadedVersion = Prisma.AdapterVersionGetPayload<{ include: typeof NEEDED }>;

export const outcomesRepository = {
  load: (db: Queryable, versionId: string): Promise<LoadedVersion | null> =>
    db.adapterVersion.findUnique({ where: { id: versionId }, include: NEEDED }),
};
