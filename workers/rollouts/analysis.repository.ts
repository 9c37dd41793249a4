import { Prisma, type Database, type Transaction } from '../../src/platform/database/database.ts';
import { newId } from '../../src/platform/contract/ids.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import type { EvolveOutcome } from '../../core/adaptation/evolutions.ts';
import type { SourcedBase } from '../bases/local-bases.ts';
import type { DescribeOutcome } from '../training/protocol.ts';

export type AnalyzedVersionRow = NonNullable<Awaited<ReturnType<Database['baseModelVersion']['findUnique']>>>;

export function createAnalysisRepository(db: Database) {
  return {
    baseModelVersion: (id: string) => db.baseModelVersion.findUniqueOrThrow({ where: { id } }),

    baseModelVersions: (ids: readonly string[]): Promise<SourcedBase[]> =>
      db.baseModelVersion.findMany({
        where: { id: { in: [...ids] } },
        select: { id: true, version: true, path: true, sourceKey: true },
      }),

    /** Stores the progress of the fetches of a rollout's bases in the row of the rollout. */
    noteFetches: (id: string, fetches: Prisma.InputJsonArray) =>
      db.$executeRaw`
        UPDATE rollouts SET fetches = ${JSON.stringify(fetches)}::jsonb, updated_at = clock_timestamp()
        WHERE id = ${id} AND state = 'analyzing'`,

    /**
     * Returns the base model version that a rollout leads to, followed by the base model versions that the adapters'
     * latest versions were made for.
     */
    basesOf: (rolloutId: string) =>
      basesBeside(db, Prisma.sql`SELECT base_model_version_id FROM rollouts WHERE id = ${rolloutId}`),

    /**
     * Returns the base model version that a forecast is about, followed by the base model versions that the adapters'
     * latest versions were made for.
     */
    basesOfForecast: (id: string) =>
      basesBeside(db, Prisma.sql`SELECT base_model_version_id FROM rollout_forecasts WHERE id = ${id}`),

    /** Stores the reason why the analysis of a rollout has to wait in the row of the rollout. */
    async noteWaiting(id: string, error: StoredError): Promise<void> {
      const where = { id, state: { in: ['planning', 'analyzing'] } } satisfies Prisma.RolloutWhereInput;
      await db.rollout.updateMany({ where, data: { error: { ...error } } });
    },

    /** Marks a base model version as verified. Returns true if it was not verified before. */
    async markVerified(tx: Transaction, id: string, found: DescribeOutcome): Promise<boolean> {
      const { count } = await tx.baseModelVersion.updateMany({
        where: { id, state: { not: 'verified' } },
        data: {
          state: 'verified',
          fingerprint: found.fingerprint,
          config: { ...found.config } as unknown as Prisma.InputJsonObject,
          parameters: BigInt(found.parameters),
          error: Prisma.DbNull,
        },
      });
      return count === 1;
    },

    /** Marks a base model version as unusable. Returns true if it was not marked before. */
    async markFailed(tx: Transaction, id: string, error: Prisma.InputJsonObject): Promise<boolean> {
      const { count } = await tx.baseModelVersion.updateMany({
        where: { id, state: 'registered' },
        data: { state: 'failed', error },
      });
      return count === 1;
    },

    /**
     * Returns the row of the evolution from the old base model version to the new one, and creates it if it does not
     * exist.
     */
    async evolution(oldBaseModelVersionId: string, newBaseModelVersionId: string) {
      await db.evolution.createMany({
        data: [{ id: newId('evolution'), oldBaseModelVersionId, newBaseModelVersionId }],
        skipDuplicates: true,
      });
      return db.evolution.findUniqueOrThrow({
        where: { oldBaseModelVersionId_newBaseModelVersionId: { oldBaseModelVersionId, newBaseModelVersionId } },
      });
    },

    evolutionReady: (tx: Transaction, id: string, outcome: EvolveOutcome, artifactDigest: string) =>
      tx.evolution.update({
        where: { id },
        data: {
          state: 'ready',
          rank: outcome.rank,
          drift: outcome.drift,
          summary: outcome.summary as Prisma.InputJsonObject,
          artifactDigest,
          computeMs: outcome.computeMs,
        },
      }),

    evolutionFailed: (id: string, differences: Prisma.InputJsonArray) =>
      db.evolution.updateMany({ where: { id, state: { not: 'ready' } }, data: { state: 'failed', differences } }),
  };
}

/**
 * Reads the new base model version, followed by the base model versions that the adapters' latest versions were made
 * for.
 * @param baseModelVersion a statement that selects the identifier of the new version
 */
function basesBeside(db: Database, baseModelVersion: Prisma.Sql) {
  return db.$queryRaw<SourcedBase[]>`
    SELECT v.id, v.version, v.path, v.source_key AS "sourceKey" FROM base_model_versions new
    JOIN base_model_versions v ON v.base_model_id = new.base_model_id
    WHERE new.id = (${baseModelVersion}) AND (v.id = new.id OR v.id IN (
      SELECT last.base_model_version_id FROM adapters a
      CROSS JOIN LATERAL (
        SELECT base_model_version_id FROM adapter_versions
        WHERE adapter_id = a.id ORDER BY number DESC LIMIT 1
      ) AS last
      WHERE a.base_model_id = new.base_model_id))
    ORDER BY v.id = new.id DESC, v.id`;
}
