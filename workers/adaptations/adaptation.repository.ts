import type { Prisma, Queryable, Transaction } from '../../src/lib/database.ts';
import { newId } from '../../src/lib/ids.ts';
import type { Candidate, MetricPointMessage } from '../training/protocol.ts';

/** All that a job needs to be run. */
const NEEDED = {
  rollout: { include: { baseVersion: true } },
  sourceVersion: { include: { baseVersion: true } },
  adapter: { include: { dataset: true } },
} satisfies Prisma.JobInclude;

export type LoadedJob = Prisma.JobGetPayload<{ include: typeof NEEDED }>;

export interface SearchPoint {
  index: number;
  alpha: number;
  beta: number;
  loss: number;
  durationMs: number;
}

export interface PublishedFolder {
  digest: string;
  rank: number;
  alpha: number;
  candidate: Candidate;
}

export const adaptationRepository = {
  load: (db: Queryable, jobId: string): Promise<LoadedJob | null> =>
    db.job.findUnique({ where: { id: jobId }, include: NEEDED }),

  evolution: (db: Queryable, fromVersionId: string, toVersionId: string) =>
    db.evolution.findUnique({ where: { fromVersionId_toVersionId: { fromVersionId, toVersionId } } }),

  /** Milliseconds until the lease of another holder runs out; null if there is no such job or it is not held. */
  async leaseLeft(db: Queryable, jobId: string): Promise<number | null> {
    const [row] = await db.$queryRaw<{ left_ms: number }[]>`
      SELECT (EXTRACT(EPOCH FROM lease_expires_at - clock_timestamp()) * 1000)::float8 AS left_ms FROM jobs
      WHERE id = ${jobId} AND finished_at IS NULL AND state <> 'paused' AND lease_owner IS NOT NULL`;
    return row?.left_ms ?? null;
  },

  /** Which of these jobs have ended. */
  ended: async (db: Queryable, jobIds: readonly string[]): Promise<string[]> => {
    const rows = await db.job.findMany({ where: { id: { in: [...jobIds] }, finishedAt: { not: null } }, select: { id: true } });
    return rows.map((row) => row.id);
  },

  /** A resumed job measures some points again: the first value stays. */
  async insertMeasurements(
    tx: Transaction,
    job: { id: string; tenantId: string },
    points: readonly MetricPointMessage[],
    searches: readonly SearchPoint[],
  ): Promise<void> {
    const owner = { jobId: job.id, tenantId: job.tenantId };
    if (points.length > 0) {
      await tx.metricPoint.createMany({ data: points.map((point) => ({ ...owner, ...point })), skipDuplicates: true });
    }
    if (searches.length > 0) {
      await tx.searchEvaluation.createMany({ data: searches.map((search) => ({ ...owner, ...search })), skipDuplicates: true });
    }
  },

  /**
   * Writes the adapter version of a candidate and returns its id. A candidate that this job has published already, in
   * a try that was cut off before it was acknowledged, is not written again.
   */
  async insertVersion(tx: Transaction, job: LoadedJob, published: PublishedFolder): Promise<string> {
    const { candidate } = published;
    await tx.$queryRaw`SELECT id FROM adapters WHERE id = ${job.adapterId} FOR NO KEY UPDATE`;
    const earlier = await tx.adapterVersion.findFirst({
      where: {
        jobId: job.id,
        OR: [
          { artifactDigest: published.digest },
          {
            strategy: candidate.strategy,
            fusionAlpha: candidate.alpha,
            fusionBeta: candidate.beta,
            metrics: { path: ['step'], equals: candidate.step },
          },
        ],
      },
      select: { id: true },
    });
    if (earlier !== null) return earlier.id;
    const newest = await tx.adapterVersion.aggregate({ where: { adapterId: job.adapterId }, _max: { number: true } });
    const id = newId('adapterVersion');
    await tx.adapterVersion.create({
      data: {
        id,
        tenantId: job.tenantId,
        adapterId: job.adapterId,
        baseVersionId: job.rollout.baseVersionId,
        parentVersionId: job.sourceVersionId,
        number: (newest._max.number ?? 0) + 1,
        origin: 'adapted',
        artifactDigest: published.digest,
        rank: published.rank,
        alpha: published.alpha,
        strategy: candidate.strategy,
        fusionAlpha: candidate.alpha,
        fusionBeta: candidate.beta,
        metrics: metricsOf(candidate),
        jobId: job.id,
      },
    });
    return id;
  },
};

function metricsOf(candidate: Candidate): Prisma.InputJsonObject {
  const { step, metric, value, standardError, examples } = candidate;
  return { metric, value, standard_error: standardError, examples, step };
}
