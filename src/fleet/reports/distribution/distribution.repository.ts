import { Prisma, type Transaction } from '../../../platform/database/database.ts';
import { MOST_VALUES } from './distribution.schemas.ts';

/**
 * Times of the ready jobs of one kind, in milliseconds in ascending order, and the number of these jobs. If there are
 * many, `values` is a selection of the times.
 */
export interface DistributionRow {
  readonly kind: 'adaptation' | 'control';
  readonly measure: 'ttr' | 'working';
  readonly ready: number;
  readonly values: number[];
}

const STEPS = MOST_VALUES - 1;

export const distributionRepository = {
  /**
   * Reads the times of a rollout's ready jobs, of all tenants or of one. If there are more than {@link MOST_VALUES}
   * times, reads only those at equal steps of rank, from the shortest to the longest.
   */
  times: (tx: Transaction, rolloutId: string, tenantId: string | null) => {
    const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND j.tenant_id = ${tenantId}`;
    return tx.$queryRaw<DistributionRow[]>`
      WITH timed AS (
        SELECT j.kind, of_job.measure, of_job.ms FROM jobs j CROSS JOIN LATERAL (
          VALUES ('ttr', j.ttr_ms), ('working', GREATEST(0, j.ttr_ms - j.queue_wait_ms - j.held_ms))) AS of_job
            (measure, ms)
        WHERE j.rollout_id = ${rolloutId} AND j.ttr_ms IS NOT NULL ${ofTenant}
      ), ranked AS (
        SELECT kind, measure, ms, row_number() OVER (PARTITION BY kind, measure ORDER BY ms) - 1 AS place,
          count(*) OVER (PARTITION BY kind, measure) AS ready
        FROM timed
      )
      SELECT kind::text AS kind, measure, ready::int AS ready, array_agg(ms ORDER BY place) AS values FROM ranked
      WHERE ready <= ${MOST_VALUES} OR place = 0
        OR place * ${STEPS} / (ready - 1) <> (place - 1) * ${STEPS} / (ready - 1)
      GROUP BY kind, measure, ready`;
  },
};
