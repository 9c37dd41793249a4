import { Prisma, type Queryable } from '../../../platform/database/database.ts';
import type { Sorting } from '../../../platform/contract/sorting.ts';
import type { ListAdaptersQuery } from '../adapter.schemas.ts';
import { isAtRisk } from '../../base-models/index.ts';
import { withLabels } from '../settings/labels.repository.ts';

/** Request for a page of adapters. */
export interface AdaptersToList {
  readonly query: ListAdaptersQuery;
  readonly sorting: Sorting<never>;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly tenantId: string | null;
}

/**
 * Makes the SQL that selects a page of adapters, and one adapter more, by a base model version: adapters that have a
 * current version on it, that have none on it, or that are at risk because it retires. PostgreSQL finds adapters that
 * have a current version on it by an index. For adapters that have none, it goes through adapters until the page is
 * full.
 */
export async function adaptersByBase(tx: Queryable, { query, sorting, tenantId }: AdaptersToList): Promise<Prisma.Sql> {
  const { not_on: notOn, at_risk_on: atRiskOn } = query;
  const on = query.base_model_version_id ?? atRiskOn;
  const missing = notOn === undefined ? Prisma.empty : await isMissing(tx, notOn);
  const atRisk = atRiskOn === undefined ? Prisma.empty : await atRiskWhen(tx, atRiskOn, on === atRiskOn);
  const tenantIds = [tenantId ?? [], query.tenant_id ?? []].flat();
  return Prisma.sql`
    SELECT a.* FROM adapters a JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
      ${on === undefined ? Prisma.empty : Prisma.sql`JOIN current_versions c ON c.adapter_id = a.id`}
      ${withLabels({ ...query, tenantIds, sorting })}
    WHERE a.deleted_at IS NULL ${on === undefined ? Prisma.empty : Prisma.sql`AND ${isOn(on)}`}
      ${missing} ${atRisk} ${sorting.rest('a.')}
      ${Prisma.join([Prisma.empty, ...tenantIds.map((id) => ofTenant(id, on))], ' ')}
      ${query.name === undefined ? Prisma.empty : Prisma.sql`AND a.name = ${query.name}`}
    ORDER BY ${sorting.orderBy('a.')} LIMIT ${sorting.take}`;
}

/**
 * Makes the SQL condition that the row `c` of the current versions is for a base model version and names an adapter
 * version.
 */
function isOn(baseModelVersionId: string): Prisma.Sql {
  return Prisma.sql`c.base_model_version_id = ${baseModelVersionId} AND c.adapter_version_id IS NOT NULL`;
}

/**
 * Makes the SQL condition that the adapter `a` has no current version on a base model version, although it belongs to
 * the same base model. The base model is read beforehand, because its value decides the query plan.
 */
async function isMissing(tx: Queryable, baseModelVersionId: string): Promise<Prisma.Sql> {
  const base = await tx.baseModelVersion.findUnique({
    where: { id: baseModelVersionId },
    select: { baseModelId: true },
  });
  if (base === null) return Prisma.sql`AND FALSE`;
  return Prisma.sql`AND a.base_model_id = ${base.baseModelId}
    AND NOT EXISTS (SELECT FROM current_versions c WHERE c.adapter_id = a.id AND ${isOn(baseModelVersionId)})`;
}

/**
 * Makes the SQL condition that the adapter `a` has a current version on a base model version and is at risk when that
 * base model version retires, as defined by {@link isAtRisk}.
 * @param isKnown whether other conditions of the statement already require a current version on this base model version
 */
async function atRiskWhen(tx: Queryable, baseModelVersionId: string, isKnown: boolean): Promise<Prisma.Sql> {
  const retiring = await tx.baseModelVersion.findUnique({
    where: { id: baseModelVersionId },
    select: { retiresAt: true },
  });
  if (retiring === null) return Prisma.sql`AND FALSE`;
  const isThere = Prisma.sql`AND EXISTS (
    SELECT FROM current_versions c WHERE c.adapter_id = a.id AND ${isOn(baseModelVersionId)})`;
  return Prisma.sql`${isKnown ? Prisma.empty : isThere} AND ${isAtRisk(baseModelVersionId, retiring.retiresAt)}`;
}

/**
 * Makes the SQL condition that adapters and current versions belong to a tenant. The condition names the tenant column
 * of both tables, because an index of each table begins with the tenant.
 */
function ofTenant(tenantId: string, on: string | undefined): Prisma.Sql {
  const current = on === undefined ? Prisma.empty : Prisma.sql`AND c.tenant_id = ${tenantId}`;
  return Prisma.sql`AND a.tenant_id = ${tenantId} ${current}`;
}
