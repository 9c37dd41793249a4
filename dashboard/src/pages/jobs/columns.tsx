import { Link } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import { count, duration, UNKNOWN } from '../../lib/format.ts';
import { metricName, metricValue } from '../../lib/metric-words.ts';
import type { Column } from '../../parts/table/use-server-table.ts';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { Time } from '../../parts/values/time.tsx';

interface Shown {
  /** The names of tenants by their identifiers; null where all jobs belong to one. */
  readonly tenants: ReadonlyMap<string, string> | null;
  /** Whether the list is that of one rollout: only then does the service sort by the end and by the time to readiness. */
  readonly hasRollout: boolean;
}

const ADAPTER: Column<Job> = {
  id: 'adapter',
  header: 'Adapter',
  width: 220,
  cell: ({ id, adapter_name: name }) => (
    <Link to="/jobs/$jobId" params={{ jobId: id }} className="plain-link" title={name}>
      {name}
    </Link>
  ),
};

const BEFORE_TENANT: readonly Column<Job>[] = [
  { id: 'state', header: 'State', width: 150, cell: ({ state }) => <StateBadge state={state} size="1" /> },
  { id: 'kind', header: 'Kind', width: 120, cell: ({ kind }) => kind },
];

const FIGURES: readonly Column<Job>[] = [
  { id: 'strategy', header: 'Strategy', width: 130, cell: (job) => job.won_strategy ?? `${job.strategy} asked for` },
  {
    id: 'value',
    header: 'Best value',
    width: 210,
    cell: ({ metric: { name, best, target } }) =>
      best === null ? UNKNOWN : `${metricName(name)} ${metricValue(best)} (gate ${metricValue(target)})`,
  },
  { id: 'attempts', header: 'Attempts', width: 100, align: 'end', cell: ({ attempt }) => count(attempt) },
];

/** The columns of a list of jobs. */
export function columnsOf({ tenants, hasRollout }: Shown): readonly Column<Job>[] {
  const tenant: Column<Job>[] =
    tenants === null ? [] : [{ id: 'tenant', header: 'Tenant', cell: ({ tenant_id: id }) => tenants.get(id) ?? id }];
  return [
    ADAPTER,
    ...BEFORE_TENANT,
    ...tenant,
    ...FIGURES,
    {
      id: 'ttr',
      header: 'Time to readiness',
      width: 160,
      align: 'end',
      cell: ({ ttr_ms: ttr }) => duration(ttr),
      ...(hasRollout && { sort: 'ttr' }),
    },
    { id: 'created', header: 'Created', width: 150, sort: 'created', cell: (job) => <Time value={job.created_at} /> },
    {
      id: 'finished',
      header: 'Ended',
      width: 150,
      cell: ({ finished_at: finished }) => <Time value={finished} />,
      ...(hasRollout && { sort: 'finished' }),
    },
  ];
}
