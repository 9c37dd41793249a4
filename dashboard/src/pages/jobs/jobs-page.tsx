import { useNavigate, useSearch } from '@tanstack/react-router';
import type { Job } from '@readapt/client';
import { useCallback, useMemo } from 'react';
import { useEndless } from '../../api/use-endless.ts';
import { useViewer } from '../../api/viewer.ts';
import type { JobsSearch } from '../../routes/search.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { DataTable } from '../../parts/table/data-table.tsx';
import { columnsOf } from './columns.tsx';
import { Filters } from './filters.tsx';
import { allJobs, queryOf } from './jobs-queries.ts';

/** Page with all jobs that the key may see, filtered and sorted by the service. */
export default function JobsPage() {
  const { isOperator } = useViewer();
  const search = useSearch({ from: '/shell/jobs' });
  const { query, table } = useEndless(allJobs(search));
  return (
    <>
      <PageHeader
        title="Jobs"
        description={
          `Each carries one adapter over in one rollout${isOperator ? '' : ', of the adapters that belong to you'}; ` +
          'a control trains one from scratch for comparison.'
        }
        json={[`/v1/jobs?${asText(queryOf(search))}`]}
      />
      <Filters search={search} />
      <Loaded query={query} what="the jobs" height={400}>
        {(rows) =>
          rows.length === 0 ? <NoJobs search={search} /> : <Jobs rows={rows} search={search} table={table} />
        }
      </Loaded>
    </>
  );
}

interface JobsProps {
  readonly rows: readonly Job[];
  readonly search: JobsSearch;
  readonly table: ReturnType<typeof useEndless<Job>>['table'];
}

function Jobs({ rows, search, table }: JobsProps) {
  const navigate = useNavigate();
  const { isOperator } = useViewer();
  const columns = useMemo(() => columnsOf(isOperator), [isOperator]);
  const sort = useCallback(
    (next: string) =>
      void navigate({ to: '.', search: (before) => ({ ...before, sort: next as JobsSearch['sort'] }), replace: true }),
    [navigate],
  );
  return (
    <DataTable label="Jobs" columns={columns} rows={rows} sort={search.sort ?? '-created'} onSort={sort} {...table} />
  );
}

function NoJobs({ search }: { search: JobsSearch }) {
  const isFiltered = Object.values(search).some((value) => value !== undefined);
  return isFiltered ? (
    <Empty title="No job is like that.">Take a filter away to see more.</Empty>
  ) : (
    <Empty title="There is no job yet.">A rollout makes one for each adapter that it carries over.</Empty>
  );
}

function asText(query: ReturnType<typeof queryOf>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value ?? []].flat().map((each) => [name, each]));
  return new URLSearchParams(pairs).toString();
}
