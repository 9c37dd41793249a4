import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import type { JobFilter } from './by-filter.schemas.ts';

export type BulkJobAction = 'pause' | 'resume' | 'cancel' | 'retry';

/** Jobs of a rollout that an action may apply to. */
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
 * Conditions for jobs `j` that an action may change. A changed job no longer meets its condition, so a request can be
 * repeated.
 */
const APPLIES: Readonly<Record<BulkJobAction, Prisma.Sql>> = {
  pause: Prisma.sql`j.finished_at IS NULL AND j.paused_by IS DISTINCT FROM 'job'`,
  resume: Prisma.sql`j.finished_at IS NULL AND j.state = 'paused'`,
  cancel: Prisma.sql`j.finished_at IS NULL`,
  retry: Prisma.sql`j.finished_at IS NOT NULL AND j.state IN ('not_ready', 'failed', 'cancelled')`,
};

/** Queries that find the jobs of an action by filter. */
export const byFilterRepository = {
  rolloutExists: async (db: Queryable, id: string): Promise<boolean> =>
    (await db.rollout.findUnique({ where: { id }, select: { id: true } })) !== null,

  /** Next page of jobs, in the order of their identifiers. */
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

  /** Locks the jobs that still match. Workers change jobs without the rollout's lock, so some may have dropped out. */
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
