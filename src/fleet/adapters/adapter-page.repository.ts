import { columnsOf, Prisma, usualLimit, type Queryable } from '../../platform/database/database.ts';
import { readRows } from '../../platform/database/database-reads.ts';
import { sortingOf, type SortColumns } from '../../platform/contract/sorting.ts';
import type { ListAdaptersQuery } from './adapter.schemas.ts';
import { adaptersByBase, type AdaptersToList } from './current/adapters-by-base.repository.ts';
import { CURRENT_OF_A, type CurrentVersionRow } from './current/current-version.repository.ts';
import { withLabels } from './settings/labels.repository.ts';

/** Columns of the adapters table that an answer about an adapter shows. */
const ADAPTER = [
  ...(['id', 'tenantId', 'baseModelId', 'datasetId', 'name', 'metric', 'gate', 'appendEos', 'maxLength'] as const),
  ...(['labels', 'pinnedBaseModelVersionId', 'approval', 'createdAt'] as const),
] as const satisfies readonly (keyof Prisma.AdapterGetPayload<object>)[];
const VERSION = [
  ...(['id', 'tenantId', 'adapterId', 'baseModelVersionId', 'parentVersionId', 'number', 'origin'] as const),
  ...([
    'source',
    'provisional',
    'artifactDigest',
    'rank',
    'loraAlpha',
    'strategy',
    'fusionAlpha',
    'fusionBeta',
    'metrics',
    'jobId',
  ] as const),
  'createdAt',
] as const satisfies readonly (keyof Prisma.AdapterVersionGetPayload<object>)[];

export type ShownVersion = Pick<Prisma.AdapterVersionGetPayload<object>, (typeof VERSION)[number]> & {
  gateOutcomes: { value: number } | null;
};

/** Row of an adapter, with the rows of other tables that an answer about the adapter shows. */
export type ShownAdapter = Pick<Prisma.AdapterGetPayload<object>, (typeof ADAPTER)[number]> & {
  baseModel: { name: string };
  /** Latest version of the adapter, as the only element; empty if the adapter has no version. */
  versions: ShownVersion[];
  currentVersions: CurrentVersionRow[];
};

/**
 * Row of the SQL statement that reads a page: the adapter's columns, and the columns of its latest version under names
 * that begin with `version_`. The version's columns are null if the adapter has no version.
 */
type PageRow = Omit<ShownAdapter, 'baseModel' | 'versions' | 'currentVersions'> & {
  baseModelName: string;
  value: number | null;
  currentVersions: (Omit<CurrentVersionRow, 'changedAt'> & { changedAt: string })[];
} & {
  [Field in keyof ShownVersion & string as `version_${Field}`]: ShownVersion[Field];
};

/** Columns by which a list of adapters can be sorted. */
export const ADAPTER_SORTS: SortColumns<ShownAdapter> = {
  created: null,
  name: { column: 'name', kind: 'name', valueOf: ({ name }) => name },
};

/** Reads one page of adapters that are not deleted, and one adapter more, which tells whether another page follows. */
export async function pageOfAdapters(
  db: Queryable,
  query: ListAdaptersQuery,
  tenantId: string | null,
): Promise<ShownAdapter[]> {
  const { base_model_version_id: on, not_on: notOn, at_risk_on: atRiskOn } = query;
  const byBase = on !== undefined || notOn !== undefined || atRiskOn !== undefined;
  const sorting = sortingOf(query, ADAPTER_SORTS);
  const page = byBase
    ? await adaptersByBase(db, { query, sorting, tenantId })
    : adaptersOf({ query, sorting, tenantId });
  const rows = await readRows<PageRow>(
    db,
    Prisma.sql`
      SELECT ${columnsOf('a', ADAPTER)}, m.name AS "baseModelName", (${CURRENT_OF_A}) AS "currentVersions", v.*
      FROM (${page}) AS a
      JOIN base_models m ON m.id = a.base_model_id
      LEFT JOIN LATERAL (
        SELECT ${columnsOf('v', VERSION, 'version_')},
          (SELECT o.value FROM gate_outcomes o WHERE o.adapter_version_id = v.id) AS value
        FROM adapter_versions v WHERE v.adapter_id = a.id AND NOT v.superseded AND v.deleted_at IS NULL
        ORDER BY v.number DESC LIMIT 1
      ) AS v ON TRUE
      ORDER BY ${sorting.orderBy('a.')}`,
  );
  return rows.map(toShown);
}

/** Makes the SQL that selects a page of adapters for a query that names no base model version. */
function adaptersOf({ query, sorting, tenantId }: AdaptersToList): Prisma.Sql {
  const { take } = sorting;
  const tenantIds = [tenantId ?? [], query.tenant_id ?? []].flat();
  const given = [
    ...tenantIds.map((id) => Prisma.sql`AND a.tenant_id = ${id}`),
    query.name !== undefined && Prisma.sql`AND a.name = ${query.name}`,
  ];
  const conditions = Prisma.join([Prisma.empty, ...given.filter((condition) => condition !== false)], ' ');
  // With labels or by name, the best plan depends on how many adapters the labels or the tenant leave.
  const isUsual = query.label === undefined && sorting.column === null;
  const limit = isUsual ? usualLimit(take, 51) : Prisma.sql`${take}`;
  return Prisma.sql`
    SELECT a.* FROM adapters a JOIN tenants t ON t.id = a.tenant_id ${withLabels({ ...query, tenantIds, sorting })}
    WHERE a.deleted_at IS NULL AND t.deleted_at IS NULL ${conditions} ${sorting.rest('a.')}
    ORDER BY ${sorting.orderBy('a.')} LIMIT ${limit}`;
}

const PREFIXED = VERSION.map((field) => [field, `version_${field}`] as const);

function toShown({ baseModelName, value, currentVersions, ...row }: PageRow): ShownAdapter {
  const version: Record<string, unknown> = { gateOutcomes: value === null ? null : { value } };
  for (const [field, prefixed] of PREFIXED) version[field] = row[prefixed];
  const versions = version.id === null ? [] : [version as ShownVersion];
  const current = currentVersions.map((one) => ({ ...one, changedAt: new Date(one.changedAt) }));
  return { ...row, baseModel: { name: baseModelName }, versions, currentVersions: current };
}
