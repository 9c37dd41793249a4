import { Badge, Text } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import { decimal, duration, UNKNOWN } from '../../../lib/format.ts';
import { metricName } from '../../../lib/metric-words.ts';
import type { Column } from '../../../parts/table/use-server-table.ts';
import { StateBadge } from '../../../parts/values/state-badge.tsx';
import { TenantName } from '../../../parts/values/tenant-name.tsx';
import { Time } from '../../../parts/values/time.tsx';
import { JobVerbs } from './job-verbs.tsx';

interface ColumnOptions {
  /** Whether the list may have jobs of several tenants, so that it needs a column for them. */
  readonly tenants: boolean;
  readonly writes: boolean;
}

export function columnsFor({ tenants, writes }: ColumnOptions): Column<Job>[] {
  return [ADAPTER, ...(writes ? [VERBS] : []), STATE, ...(tenants ? [TENANT] : []), ...FIGURES];
}

const TENANT: Column<Job> = {
  id: 'tenant',
  header: 'Tenant',
  width: 120,
  cell: ({ tenant_id: id }) => <TenantName id={id} />,
};

const VERBS: Column<Job> = {
  id: 'verbs',
  header: 'Do',
  width: 56,
  align: 'end',
  cell: (job) => <JobVerbs job={job} />,
};

const ADAPTER: Column<Job> = {
  id: 'adapter',
  header: 'Adapter',
  width: 200,
  cell: ({ id, adapter_name: name, kind }) => (
    <>
      <Link to="/jobs/$jobId" params={{ jobId: id }} className="plain-link" title={name}>
        {name}
      </Link>{' '}
      {kind === 'control' && (
        <Badge color="gray" variant="outline" highContrast>
          control
        </Badge>
      )}
    </>
  ),
};

const STATE: Column<Job> = {
  id: 'state',
  header: 'State',
  width: 130,
  cell: ({ state, error }) => (
    <span title={error?.message}>
      <StateBadge state={state} size="1" />
    </span>
  ),
};

const FIGURES: readonly Column<Job>[] = [
  {
    id: 'strategy',
    header: 'Strategy',
    width: 100,
    cell: ({ strategy, won_strategy: won }) =>
      won ?? (
        <Text color="gray" title="What was asked for; none has won yet">
          {strategy}
        </Text>
      ),
  },
  { id: 'metric', header: 'Metric, target', width: 230, cell: ({ metric }) => <Metric metric={metric} /> },
  {
    id: 'step',
    header: 'Steps',
    width: 100,
    align: 'end',
    cell: ({ step, total_steps: total }) => (step === 0 ? UNKNOWN : `${step} of ${total}`),
  },
  { id: 'ttr', header: 'Ready after', width: 120, align: 'end', sort: 'ttr', cell: ({ ttr_ms: ttr }) => duration(ttr) },
  { id: 'wave', header: 'Wave', width: 70, align: 'end', cell: ({ wave }) => wave ?? UNKNOWN },
  {
    id: 'created',
    header: 'Created',
    width: 150,
    sort: 'created',
    cell: ({ created_at: at }) => <Time value={at} />,
  },
  {
    id: 'finished',
    header: 'Ended',
    width: 150,
    sort: 'finished',
    cell: ({ finished_at: at }) => <Time value={at} />,
  },
];

function Metric({ metric: { name, target, published, best } }: Pick<Job, 'metric'>) {
  const value = published ?? best;
  return (
    <span className="figures">
      {metricName(name)} {decimal(value)}
      {target !== null && <Text color="gray"> of {decimal(target)}</Text>}
    </span>
  );
}
