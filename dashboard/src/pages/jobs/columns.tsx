import { Link } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import { duration, UNKNOWN } from '../../lib/format.ts';
import { metricName, metricValue } from '../../lib/metric-words.ts';
import type { Column } from '../../parts/table/use-server-table.ts';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { TenantName } from '../../parts/values/tenant-name.tsx';
import { Time } from '../../parts/values/time.tsx';

const ADAPTER: Column<Job> = {
  id: 'adapter',
  header: 'Adapter',
  width: 210,
  cell: ({ id, adapter_name: name, kind }) => (
    <Link to="/jobs/$jobId" params={{ jobId: id }} className="plain-link" title={name}>
      {kind === 'control' ? `${name}, control` : name}
    </Link>
  ),
};

const BEFORE_TENANT: readonly Column<Job>[] = [
  { id: 'state', header: 'State', width: 120, cell: ({ state }) => <StateBadge state={state} size="1" /> },
];

const FIGURES: readonly Column<Job>[] = [
  { id: 'strategy', header: 'Strategy', width: 100, cell: (job) => job.won_strategy ?? job.strategy },
  {
    id: 'value',
    header: 'Value (gate)',
    width: 150,
    cell: ({ metric: { name, best, target } }) =>
      best === null ? UNKNOWN : <span title={metricName(name)}>{`${metricValue(best)} (${metricValue(target)})`}</span>,
  },
];

const TENANT: Column<Job> = {
  id: 'tenant',
  header: 'Tenant',
  width: 100,
  cell: ({ tenant_id: id }) => <TenantName id={id} />,
};

/**
 * Columns of the list of jobs.
 * @param ofSeveral whether the list has jobs of several tenants, which adds their column
 */
export function columnsOf(ofSeveral: boolean): readonly Column<Job>[] {
  return [
    ADAPTER,
    ...BEFORE_TENANT,
    ...(ofSeveral ? [TENANT] : []),
    ...FIGURES,
    {
      id: 'ttr',
      header: 'Time to readiness',
      width: 150,
      align: 'end',
      cell: ({ ttr_ms: ttr }) => duration(ttr),
      sort: 'ttr',
    },
    { id: 'created', header: 'Created', width: 150, sort: 'created', cell: (job) => <Time value={job.created_at} /> },
    {
      id: 'finished',
      header: 'Ended',
      width: 150,
      cell: ({ finished_at: finished }) => <Time value={finished} />,
      sort: 'finished',
    },
  ];
}
