import { Prisma, usualLimit } from '../../../platform/database/database.ts';
import { parseLabels } from '../../../platform/contract/labels.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import type { JobQuery } from '../job.schemas.ts';

type Columns = 'id' | '*' | 'id, change_seq';

/** A page of jobs that a caller asks for. */
export interface JobsToList {
  readonly query: JobQuery;
  readonly sorting: Sorting<never>;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly tenantId: string | null;
}

/**
 * One page of jobs, and one job more, in SQL. Of several states it takes a page each, which an index has in order, so that no more is read
 * however many jobs are in them.
 */
export function pageOfJobs(columns: Columns, list: JobsToList): Prisma.Sql {
  const { query, sorting } = list;
  const states = [...new Set(query.state)];
  if (states.length < 2) return pageInOrder(columns, list);
  const pages = states.map((state) => {
    return Prisma.sql`(${pageInOrder(columns, { ...list, query: { ...query, state: [state] } })})`;
  });
  return Prisma.sql`
    SELECT * FROM (${Prisma.join(pages, ' UNION ALL ')}) AS pages ORDER BY ${sorting.orderBy()} LIMIT ${sorting.take}`;
}

function pageInOrder(columns: Columns, { query, sorting, tenantId }: JobsToList): Prisma.Sql {
  if (sorting.column !== null) return pageSorted(columns, sorting, conditions(query, tenantId));
  const { take } = sorting;
  const { rollout_id: rollout, ...others } = query;
  // As a range and an order, PostgreSQL keeps to the rollout's index. By an equation, it may walk through all newer jobs.
  const [ofRollout, order] =
    rollout === undefined
      ? [Prisma.empty, sorting.orderBy()]
      : [
          Prisma.sql`AND rollout_id BETWEEN ${rollout} AND ${rollout}`,
          Prisma.sql`rollout_id ${sorting.direction}, ${sorting.orderBy()}`,
        ];
  const filter = conditions(others, tenantId);
  // With another condition, the best index depends on how many of the jobs it leaves.
  const limit = filter.values.length === 0 ? usualLimit(take, 51) : Prisma.sql`${take}`;
  return Prisma.sql`
    SELECT ${Prisma.raw(columns)} FROM jobs WHERE TRUE ${sorting.rest()} ${ofRollout} ${filter} ORDER BY ${order} LIMIT ${limit}`;
}

/** A page by another column, which indexes have in order for all jobs, for those of a rollout and for those of a tenant. */
function pageSorted(columns: Columns, sorting: Sorting<never>, filter: Prisma.Sql): Prisma.Sql {
  const selected = columns === '*' ? columns : `${columns}, ${sorting.column}`;
  return Prisma.sql`
    SELECT ${Prisma.raw(selected)} FROM jobs WHERE TRUE ${filter} ${sorting.rest()}
    ORDER BY ${sorting.orderBy()} LIMIT ${sorting.take}`;
}

/** The conditions of a query besides its position, on the table `jobs`. */
export function conditions(query: JobQuery, tenantId: string | null): Prisma.Sql {
  const since = query.updated_since;
  const given = [
    tenantId !== null && Prisma.sql`AND tenant_id = ${tenantId}`,
    query.tenant_id !== undefined && Prisma.sql`AND tenant_id = ${query.tenant_id}`,
    query.rollout_id !== undefined && Prisma.sql`AND rollout_id = ${query.rollout_id}`,
    query.adapter_id !== undefined && Prisma.sql`AND adapter_id = ${query.adapter_id}`,
    query.state !== undefined && inState(query.state),
    query.kind !== undefined && Prisma.sql`AND kind = ${query.kind}::job_kind`,
    since !== undefined && Prisma.sql`AND updated_at >= ${new Date(since)}`,
    ...parseLabels(query.label ?? []).map(hasLabel),
  ];
  return Prisma.join([Prisma.empty, ...given.filter((condition) => condition !== false)], ' ');
}

function inState(states: readonly string[]): Prisma.Sql {
  if (states.length === 1) return Prisma.sql`AND state = ${states[0]}::job_state`;
  return Prisma.sql`AND state = ANY(${[...states]}::job_state[])`;
}

/** PostgreSQL begins with the adapters that have the label where they are few, and otherwise looks it up for one job after the other. */
function hasLabel({ key, value }: { key: string; value: string }): Prisma.Sql {
  return Prisma.sql`AND EXISTS (
    SELECT FROM adapter_labels l WHERE l.adapter_id = jobs.adapter_id AND l.key = ${key} AND l.value = ${value})`;
}
