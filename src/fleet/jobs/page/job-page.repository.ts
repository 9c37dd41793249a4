import { Prisma, usualLimit } from '../../../platform/database/database.ts';
import { parseLabels } from '../../../platform/contract/labels.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import type { JobQuery } from '../job.schemas.ts';

type Columns = 'id' | '*' | 'id, change_seq';

/** Request for one page of a list of jobs. */
export interface JobsToList {
  readonly query: JobQuery;
  readonly sorting: Sorting<never>;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly tenantId: string | null;
}

/**
 * Makes the SQL for one page of jobs, plus one more job, which tells whether another page follows. For several states
 * it merges one page of each state. An index yields each of these in order, so the cost does not grow with the number
 * of jobs.
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
  // Written as a range and an order, so that PostgreSQL uses the rollout's index. With an equality, it may scan all
  // newer jobs.
  const [ofRollout, order] =
    rollout === undefined
      ? [Prisma.empty, sorting.orderBy()]
      : [
          Prisma.sql`AND rollout_id BETWEEN ${rollout} AND ${rollout}`,
          Prisma.sql`rollout_id ${sorting.direction}, ${sorting.orderBy()}`,
        ];
  const filter = conditions(others, tenantId);
  // With other conditions, the best index depends on how many jobs match them.
  const limit = filter.values.length === 0 ? usualLimit(take, 51) : Prisma.sql`${take}`;
  return Prisma.sql`
    SELECT ${Prisma.raw(columns)} FROM jobs WHERE TRUE ${sorting.rest()} ${ofRollout} ${filter} ORDER BY ${order}
      LIMIT ${limit}`;
}

/**
 * Makes the SQL for a page of jobs that is sorted by a column other than the identifier. Indexes have that order for
 * all jobs, for a rollout's jobs and for a tenant's jobs.
 */
function pageSorted(columns: Columns, sorting: Sorting<never>, filter: Prisma.Sql): Prisma.Sql {
  const selected = columns === '*' ? columns : `${columns}, ${sorting.column}`;
  return Prisma.sql`
    SELECT ${Prisma.raw(selected)} FROM jobs WHERE TRUE ${filter} ${sorting.rest()}
    ORDER BY ${sorting.orderBy()} LIMIT ${sorting.take}`;
}

/**
 * Makes the SQL conditions on the table `jobs` for the filters of a query. The position at which the page begins is not
 * among them.
 */
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

/**
 * Makes the SQL condition that the adapter of a job has a label. If few adapters have the label, PostgreSQL begins with
 * these; otherwise it checks job by job.
 */
function hasLabel({ key, value }: { key: string; value: string }): Prisma.Sql {
  return Prisma.sql`AND EXISTS (
    SELECT FROM adapter_labels l WHERE l.adapter_id = jobs.adapter_id AND l.key = ${key} AND l.value = ${value})`;
}
