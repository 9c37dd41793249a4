import { parseLabels } from '../../../platform/contract/labels.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import { Prisma } from '../../../platform/database/database.ts';

/**
 * Conditions of a list of adapters on tenants and labels. `label` holds labels as the query parameter gives them; an
 * adapter must have all of them.
 */
interface Labelled {
  readonly label?: readonly string[] | undefined;
  /**
   * Tenants that must own an adapter of the list. An adapter has one tenant, so two different tenants make the list
   * empty.
   */
  readonly tenantIds: readonly string[];
  readonly sorting: Sorting<never>;
}

/**
 * Makes the SQL joins that keep only the adapters `a` that have all of the labels. An index holds the adapters of each
 * label in the order of the list, also by tenant, so PostgreSQL can begin with the rarest label.
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
