import { parseLabels } from '../../../platform/contract/labels.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import { Prisma } from '../../../platform/database/database.ts';

/** Filter of a list of adapters: their tenants, and the labels that each must have, in the form of the query. */
interface Labelled {
  readonly label?: readonly string[] | undefined;
  /** The tenants to which the list is confined; more than one find nothing. */
  readonly tenantIds: readonly string[];
  readonly sorting: Sorting<never>;
}

/**
 * Joins that leave the adapters `a` that have all of the labels. The index has the adapters of each label in the order
 * of a list, and those of each tenant, so PostgreSQL begins with the rarest label.
 */
export function withLabels({ label = [], tenantIds, sorting }: Labelled): Prisma.Sql {
  const joins = parseLabels(label).map(({ key, value }, index) => {
    const alias = Prisma.raw(`label_${index}`);
    // PostgreSQL does not see by itself that the index can be entered where the page begins.
    const fromHere = sorting.column === null ? sorting.rest(`label_${index}.adapter_`) : Prisma.empty;
    const ofTenants = tenantIds.map((id) => Prisma.sql`AND ${alias}.tenant_id = ${id}`);
    return Prisma.sql`
      JOIN adapter_labels ${alias} ON ${alias}.adapter_id = a.id AND ${alias}.key = ${key} AND ${alias}.value = ${value}
        ${fromHere} ${Prisma.join([Prisma.empty, ...ofTenants], ' ')}`;
  });
  return Prisma.join([Prisma.empty, ...joins], ' ');
}
