import { Prisma, type Database, type Transaction } from '../../src/lib/database.ts';
import { newId } from '../../src/lib/ids.ts';
import type { EvolveOutcome } from '../../core/adaptation/evolutions.ts';
import type { DescribeOutcome } from '../training/protocol.ts';

export type BaseModelVersionRow = NonNullable<Awaited<ReturnType<Database['baseModelVersion']['findUnique']>>>;

export function createAnalysisRepository(db: Database) {
  return {
    baseModelVersion: (id: string) => db.baseModelVersion.findUniqueOrThrow({ where: { id } }),

    /** Marks a version as verified. True if it was not verified before. */
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

    /** Marks a version as unusable. True if it was not marked before. */
    async markFailed(tx: Transaction, id: string, error: Prisma.InputJsonObject): Promise<boolean> {
      const { count } = await tx.baseModelVersion.updateMany({
        where: { id, state: 'registered' },
        data: { state: 'failed', error },
      });
      return count === 1;
    },

    /** The row of a pair of versions, which is created if it does not exist. */
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
