import { Flex, SegmentedControl, Text } from '@radix-ui/themes';
import type { Job, Rollout } from '@readapt/client';
import { useId } from 'react';
import { count } from '../../../lib/format.ts';
import { useChangeOfSearch } from '../../../lib/use-change-of-search.ts';
import { StateFilter } from '../../../parts/table/state-filter.tsx';
import { JOB_STATES_READY_FIRST, type RolloutSearch } from '../../../routes/search.ts';

export interface TenantChoice {
  readonly id: string;
  readonly name: string;
  /** Number of the tenant's adaptations in the rollout. */
  readonly jobs: number;
}

interface JobFiltersProps {
  readonly rollout: Rollout;
  readonly search: RolloutSearch;
  /** Tenants to choose from; empty for a tenant's key. */
  readonly tenants: readonly TenantChoice[];
}

/** Filters of the table of jobs. Their state is in the address. */
export function JobFilters({ rollout, search, tenants }: JobFiltersProps) {
  const change = useChangeOfSearch<RolloutSearch>();
  const { state = [], kind, tenant } = search;
  const counts = countsOf(rollout, kind);
  const states = JOB_STATES_READY_FIRST.filter((each) => (counts[each] ?? 0) > 0 || state.includes(each));
  return (
    <Flex gap="3" wrap="wrap" align="center">
      <SegmentedControl.Root
        size="1"
        value={kind ?? 'all'}
        onValueChange={(value) => change({ kind: value === 'all' ? undefined : (value as Job['kind']) })}
        aria-label="Kind of job"
      >
        <SegmentedControl.Item value="all">All</SegmentedControl.Item>
        <SegmentedControl.Item value="adaptation">Adaptations</SegmentedControl.Item>
        <SegmentedControl.Item value="control">Controls</SegmentedControl.Item>
      </SegmentedControl.Root>
      {tenants.length > 0 && (
        <TenantSelect tenants={tenants} value={tenant} onChange={(id) => change({ tenant: id })} />
      )}
      <StateFilter states={states} chosen={state} counts={counts} onChange={(next) => change({ state: next })} />
    </Flex>
  );
}

function countsOf({ jobs, controls }: Rollout, kind: Job['kind'] | undefined): Record<string, number> {
  const counts: Record<string, number> = kind === 'control' ? {} : { ...jobs };
  if (kind === 'adaptation') return counts;
  for (const [state, number] of Object.entries(controls)) counts[state] = (counts[state] ?? 0) + number;
  return counts;
}

interface TenantSelectProps {
  readonly tenants: readonly TenantChoice[];
  readonly value: string | undefined;
  readonly onChange: (id: string | undefined) => void;
}

/** Choice of a tenant. A native select stays fast with the 1,000 tenants that a report can have. */
function TenantSelect({ tenants, value, onChange }: TenantSelectProps) {
  const id = useId();
  const isKnown = value === undefined || tenants.some((tenant) => tenant.id === value);
  return (
    <Flex gap="2" align="center">
      <Text as="label" size="2" htmlFor={id}>
        Tenant
      </Text>
      <select
        id={id}
        className="native-select"
        value={value ?? ''}
        onChange={({ target }) => onChange(target.value === '' ? undefined : target.value)}
      >
        <option value="">all</option>
        {!isKnown && <option value={value}>{value}</option>}
        {tenants.map((tenant) => (
          <option key={tenant.id} value={tenant.id}>
            {tenant.name} ({count(tenant.jobs)})
          </option>
        ))}
      </select>
    </Flex>
  );
}
