import type { Adapter } from '@readapt/client';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useEndless } from '../../api/use-endless.ts';
import { useViewer } from '../../api/viewer.ts';
import { decimal } from '../../lib/format.ts';
import { metricName } from '../../lib/metric-words.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { DataTable } from '../../parts/table/data-table.tsx';
import type { Column } from '../../parts/table/use-server-table.ts';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { TenantName } from '../../parts/values/tenant-name.tsx';
import { Time } from '../../parts/values/time.tsx';
import { AdapterFilters } from './adapter-filters.tsx';
import { allAdapters, filterOf } from './adapters-queries.ts';
import { Labels } from './labels.tsx';

const TENANT: Column<Adapter> = {
  id: 'tenant',
  header: 'Tenant',
  cell: ({ tenant_id: id }) => <TenantName id={id} />,
};
const COLUMNS: readonly Column<Adapter>[] = [
  {
    id: 'name',
    header: 'Adapter',
    sort: 'name',
    width: 220,
    cell: ({ id, name }) => (
      <Link to="/adapters/$adapterId" params={{ adapterId: id }} className="plain-link">
        {name}
      </Link>
    ),
  },
  {
    id: 'latest',
    header: 'Newest version for',
    width: 180,
    cell: ({ latest_version: latest }) =>
      latest === null ? 'none' : <BaseVersionLink id={latest.base_model_version_id} />,
  },
  {
    id: 'value',
    header: 'Metric',
    align: 'end',
    width: 170,
    cell: ({ metric, latest_version: latest }) => `${metricName(metric)} ${decimal(latest?.gate_value)}`,
  },
  { id: 'labels', header: 'Labels', width: 220, cell: ({ labels }) => <Labels labels={labels} /> },
  { id: 'created', header: 'Registered', sort: 'created', cell: ({ created_at: time }) => <Time value={time} /> },
];
const OF_ALL: readonly Column<Adapter>[] = [COLUMNS[0]!, TENANT, ...COLUMNS.slice(1)];

/** Page with the list of adapters, filtered and sorted by the server. */
export default function AdaptersPage() {
  const { isOperator } = useViewer();
  const search = useSearch({ from: '/shell/adapters' });
  const navigate = useNavigate({ from: '/adapters' });
  const { sort = '-created' } = search;
  const filter = filterOf(search);
  const { query, table } = useEndless(allAdapters(search));
  const parameters = new URLSearchParams(
    Object.entries({ ...filter, sort }).flatMap(([key, value]) => [[key, String(value)]]),
  );
  return (
    <>
      <PageHeader title="Adapters" json={[`/v1/adapters?${parameters}`]} />
      <AdapterFilters
        search={search}
        change={(changed) => void navigate({ search: (before) => ({ ...before, ...changed }), replace: true })}
      />
      <Loaded query={query} what="the adapters" height={400}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty
              title={Object.keys(filter).length === 0 ? 'No adapter is registered yet.' : 'No adapter is like that.'}
            >
              {Object.keys(filter).length === 0 && 'Tenants import them through the API or by the command line.'}
            </Empty>
          ) : (
            <DataTable
              label="Adapters"
              columns={isOperator ? OF_ALL : COLUMNS}
              rows={rows}
              sort={sort}
              onSort={(next) =>
                void navigate({ search: (before) => ({ ...before, sort: next as typeof sort }), replace: true })
              }
              {...table}
            />
          )
        }
      </Loaded>
    </>
  );
}
