import { Button, Flex, Text, TextField } from '@radix-ui/themes';
import { Link, useSearch } from '@tanstack/react-router';
import { useEffect, useId, useState } from 'react';
import { useEndless } from '../../api/use-endless.ts';
import { useViewer } from '../../api/viewer.ts';
import { useChangeOfSearch } from '../../lib/use-change-of-search.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { DataTable } from '../../parts/table/data-table.tsx';
import { StateFilter } from '../../parts/table/state-filter.tsx';
import { ROLLOUT_STATES, type RolloutsSearch } from '../../routes/search.ts';
import { COLUMNS } from './columns.tsx';
import { allRollouts } from './rollouts-queries.ts';

/** Page with all rollouts, newest first by default. */
export default function RolloutsPage() {
  const { operates } = useViewer();
  const search = useSearch({ from: '/shell/rollouts' });
  const { state, base_model: baseModel, sort } = search;
  const change = useChangeOfSearch<RolloutsSearch>();
  const { query, table } = useEndless(allRollouts(search));
  const filtered = state !== undefined || baseModel !== undefined;
  return (
    <>
      <PageHeader
        title="Rollouts"
        description="Each carries the adapters of a base model over to one new version of it."
        json={[pathOf(search)]}
      >
        {operates && (
          <Button asChild>
            <Link to="/rollouts/new">New rollout</Link>
          </Button>
        )}
      </PageHeader>
      <Filters />
      <Loaded query={query} what="the rollouts" height={300}>
        {(rows) =>
          rows.length === 0 ? (
            <NoRollouts filtered={filtered} />
          ) : (
            <DataTable
              label="Rollouts"
              columns={COLUMNS}
              rows={rows}
              sort={sort ?? '-accepted'}
              onSort={(next) => change({ sort: next as RolloutsSearch['sort'] })}
              {...table}
            />
          )
        }
      </Loaded>
    </>
  );
}

function NoRollouts({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No rollout meets the filter.">Take a part of the filter away to see more.</Empty>;
  return (
    <Empty title="There is no rollout yet.">
      One begins when a new version of a base model is registered, or by hand.
    </Empty>
  );
}

function Filters() {
  const { state = [], base_model: baseModel } = useSearch({ from: '/shell/rollouts' });
  const change = useChangeOfSearch<RolloutsSearch>();
  return (
    <Flex gap="3" wrap="wrap" align="center" mb="3">
      <BaseModelField key={baseModel} value={baseModel} onChange={(name) => change({ base_model: name })} />
      <StateFilter states={ROLLOUT_STATES} chosen={state} onChange={(next) => change({ state: next })} />
    </Flex>
  );
}

/** Delay after the last keystroke before the list is filtered, in milliseconds. */
const DEBOUNCE_MS = 400;

function BaseModelField({
  value,
  onChange,
}: {
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}) {
  const id = useId();
  const [text, setText] = useState(value ?? '');
  useEffect(() => {
    if (text === (value ?? '')) return;
    const timer = setTimeout(() => onChange(text === '' ? undefined : text), DEBOUNCE_MS);
    return () => clearTimeout(timer);
  });
  return (
    <Flex gap="2" align="center">
      <Text as="label" size="2" htmlFor={id}>
        Base model
      </Text>
      <TextField.Root
        id={id}
        value={text}
        placeholder="its whole name"
        onChange={({ target }) => setText(target.value.trim())}
      />
    </Flex>
  );
}

function pathOf({ state, base_model: baseModel, sort }: RolloutsSearch): string {
  const query = new URLSearchParams((state ?? []).map((each) => ['state', each]));
  if (baseModel !== undefined) query.set('base_model', baseModel);
  if (sort !== undefined) query.set('sort', sort);
  query.set('limit', '200');
  return `/v1/rollouts?${query.toString()}`;
}
