import { parseLabels } from '../../../platform/contract/labels.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import { Prisma } from '../../../platform/database/database.ts';

/**
 * Filter of a list of adapters by tenants and labels. `label` has the form of the query parameter; an adapter must have
 * all of the labels.
 */
interface Labelled {
  readonly label?: readonly string[] | undefined;
  /** Tenants to which the list is confined. An adapter has one tenant, so with more than one the list is empty. */
  readonly tenantIds: readonly string[];
  readonly sorting: Sorting<never>;
}

/**
 * Joins that keep only the adapters `a` that have all of the labels. The index holds each label's adapters in list
 * order, also by tenant, so PostgreSQL begins with the rarest label.
 */
export function withLabels({ label = [], tenantIds, sorting }: Labelled): Prisma.Sql {
  const joins = parseLabels(label).map(({ key, value }, index) => {
    const alias = Prisma.raw(`label_${index}`);
    // Without this condition, PostgreSQL does not start reading the index where the page begins.
    const fromHere = sorting.column === null ? sorting.rest(`label_${index}.adapter_`) : Prisma.empty;
    const ofTenants = tenantIds.map((id) => Prisma.sql`AND ${alias}.tenant_id = ${id}`);
    return Prisma.sql`
      JOIN adapter_labels ${alias} ON ${alias}.adapter_id = a.id AND ${alias}.key = ${key} AND ${alias}.value = ${value}
        ${fromHere} ${Prisma.join([Prisma.empty, ...ofTenants], ' ')}`;
  });
  return Prisma.join([Prisma.empty, ...joins], ' ');
}
