import { useQuery } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { Flex } from '@radix-ui/themes';
import { useDeferredValue, useMemo } from 'react';
import { useEndless } from '../../../api/use-endless.ts';
import { useViewer } from '../../../api/viewer.ts';
import { useChangeOfSearch } from '../../../lib/use-change-of-search.ts';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { DataTable } from '../../../parts/table/data-table.tsx';
import type { RolloutSearch } from '../../../routes/search.ts';
import { jobsOfRollout, reportQuery } from '../rollout-queries.ts';
import { columnsFor } from './columns.tsx';
import { JobsContext } from './job-verbs.tsx';
import { JobFilters, type TenantChoice } from './job-filters.tsx';
import { ManyJobs } from './many-jobs.tsx';

/** Table of the rollout's jobs, filtered and sorted by the service, with actions on one or many of them. */
export function JobsSection({ rollout }: { rollout: Rollout }) {
  const { isOperator, writes } = useViewer();
  const search = useSearch({ from: '/shell/rollouts/$rolloutId' });
  const tenants = useTenants(rollout);
  const { state } = rollout;
  const context = useMemo(
    () => ({
      canRetry: state !== 'failed' && state !== 'cancelled',
      rolloutPaused: state === 'paused',
    }),
    [state],
  );
  return (
    <Section title="Jobs" aside={writes ? <ManyJobs rollout={rollout} search={search} tenants={tenants} /> : undefined}>
      <Flex direction="column" gap="3">
        <JobFilters rollout={rollout} search={search} tenants={isOperator ? tenants : []} />
        <JobsContext value={context}>
          <JobsTable rollout={rollout} search={search} />
        </JobsContext>
      </Flex>
    </Section>
  );
}

const NO_TENANT: readonly TenantChoice[] = [];

/**
 * Tenants with the most jobs in the rollout, up to 1,000. They come from the rollout's report, and render after the
 * rest of the page.
 */
function useTenants(rollout: Rollout): readonly TenantChoice[] {
  const { data } = useQuery(reportQuery(rollout));
  const tenants = useMemo(
    () => (data?.tenants ?? []).flatMap(({ id, name, jobs }) => (id === null ? [] : [{ id, name: name ?? id, jobs }])),
    [data],
  );
  return useDeferredValue(tenants, NO_TENANT);
}

interface JobsTableProps {
  readonly rollout: Rollout;
  readonly search: RolloutSearch;
}

function JobsTable({ rollout, search }: JobsTableProps) {
  const { isOperator, writes } = useViewer();
  const change = useChangeOfSearch<RolloutSearch>();
  const { sort } = search;
  const { query, table } = useEndless(jobsOfRollout(rollout, search));
  const columns = useMemo(() => columnsFor({ tenants: isOperator, writes }), [isOperator, writes]);
  return (
    <Loaded query={query} what="the jobs" height={300}>
      {(rows) =>
        rows.length === 0 ? (
          <NoJobs search={search} />
        ) : (
          <DataTable
            label="Jobs of the rollout"
            columns={columns}
            rows={rows}
            total={totalOf(rollout, search)}
            sort={sort ?? '-created'}
            onSort={(next) => change({ sort: next as RolloutSearch['sort'] })}
            {...table}
            height={560}
          />
        )
      }
    </Loaded>
  );
}

function NoJobs({ search: { state, kind, tenant, sort } }: { search: RolloutSearch }) {
  const filtered = state !== undefined || kind !== undefined || tenant !== undefined;
  const ended = sort?.endsWith('finished') === true || sort?.endsWith('ttr') === true;
  if (filtered) return <Empty title="No job meets the filter.">Take a part of the filter away to see more.</Empty>;
  if (ended) {
    return (
      <Empty title="No job has ended yet.">Sorted like this, the list has only jobs that have. Sort by creation.</Empty>
    );
  }
  return <Empty title="No job is planned yet.">Jobs appear once a worker has looked at the new version.</Empty>;
}

/**
 * Number of jobs that match the filter, according to the rollout's counts. Null if the counts cannot tell: they do not
 * distinguish tenants, nor the jobs that an order by end or by time to readiness leaves out.
 */
function totalOf({ jobs, controls }: Rollout, { state, kind, tenant, sort }: RolloutSearch): number | null {
  if (tenant !== undefined || (sort !== undefined && !sort.endsWith('created'))) return null;
  const counts = [kind === 'control' ? {} : jobs, kind === 'adaptation' ? {} : controls];
  const isCounted = (name: string) => state === undefined || state.some((each) => each === name);
  return counts
    .flatMap((each) => Object.entries(each))
    .reduce((sum, [name, number]) => sum + (isCounted(name) ? number : 0), 0);
}
