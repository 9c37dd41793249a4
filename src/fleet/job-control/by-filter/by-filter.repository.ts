import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import type { JobFilter } from './by-filter.schemas.ts';

export type BulkJobAction = 'pause' | 'resume' | 'cancel' | 'retry';

/** Conditions by which an action chooses jobs of a rollout. */
export interface JobSelection {
  readonly rolloutId: string;
  readonly action: BulkJobAction;
  readonly filter: JobFilter;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly tenantId: string | null;
}

export interface SelectedJob {
  readonly id: string;
  readonly tenant_id: string;
  readonly state: string;
}

/**
 * SQL conditions, by action, for jobs `j` that the action may change. A changed job no longer meets the condition, so a
 * repeated request changes only the remaining jobs.
 */
const APPLIES: Readonly<Record<BulkJobAction, Prisma.Sql>> = {
  pause: Prisma.sql`j.finished_at IS NULL AND j.paused_by IS DISTINCT FROM 'job'`,
  resume: Prisma.sql`j.finished_at IS NULL AND j.state = 'paused'`,
  cancel: Prisma.sql`j.finished_at IS NULL`,
  retry: Prisma.sql`j.finished_at IS NOT NULL AND j.state IN ('not_ready', 'failed', 'cancelled')`,
};

/** Queries that find the jobs to which an action by filter applies. */
export const byFilterRepository = {
  rolloutExists: async (db: Queryable, id: string): Promise<boolean> =>
    (await db.rollout.findUnique({ where: { id }, select: { id: true } })) !== null,

  /** Reads the identifiers of the next jobs that match the selection, in ascending order. */
  async page(
    db: Queryable,
    selection: JobSelection,
    { after, limit }: { after: string; limit: number },
  ): Promise<string[]> {
    const { rolloutId } = selection;
    // Written as a range and an order, so that PostgreSQL uses the rollout's index.
    const rows = await db.$queryRaw<{ id: string }[]>`
      SELECT j.id FROM jobs j JOIN adapters a ON a.id = j.adapter_id
      WHERE j.rollout_id BETWEEN ${rolloutId} AND ${rolloutId} AND j.id > ${after} AND ${conditions(selection)}
      ORDER BY j.rollout_id, j.id LIMIT ${limit}`;
    return rows.map(({ id }) => id);
  },

  /**
   * Locks those of the jobs that still match the selection. Workers change jobs without locking the rollout, so some
   * jobs may match no longer.
   */
  lock: (tx: Transaction, selection: JobSelection, ids: readonly string[]) =>
    tx.$queryRaw<SelectedJob[]>`
      SELECT j.id, j.tenant_id, j.state::text AS state FROM jobs j JOIN adapters a ON a.id = j.adapter_id
      WHERE j.id = ANY(${[...ids]}::text[]) AND j.rollout_id = ${selection.rolloutId} AND ${conditions(selection)}
      ORDER BY j.id FOR NO KEY UPDATE OF j`,
};

function conditions({ action, filter, tenantId }: JobSelection): Prisma.Sql {
  const { states, tenants, adapters, error_codes: codes, labels } = filter;
  const given = [
    APPLIES[action],
    tenantId !== null && Prisma.sql`j.tenant_id = ${tenantId}`,
    states !== undefined && Prisma.sql`j.state = ANY(${states}::job_state[])`,
    tenants !== undefined && Prisma.sql`j.tenant_id = ANY(${tenants}::text[])`,
    adapters !== undefined && Prisma.sql`j.adapter_id = ANY(${adapters}::text[])`,
    codes !== undefined && Prisma.sql`j.error ->> 'code' = ANY(${codes}::text[])`,
    labels !== undefined && Prisma.sql`a.labels @> ${JSON.stringify(labels)}::jsonb`,
  ];
  return Prisma.join(
    given.filter((condition) => condition !== false),
    ' AND ',
  );
}
