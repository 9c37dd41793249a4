import { Box } from '@radix-ui/themes';
import type { Adapter } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useInvalidateOn } from '../../api/polling.ts';
import { useEndless } from '../../api/use-endless.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { Facts, Identifier } from '../../parts/values/facts.tsx';
import { TenantName } from '../../parts/values/tenant-name.tsx';
import { Time } from '../../parts/values/time.tsx';
import { Labels } from '../adapters/labels.tsx';
import { adapterQuery, datasetQuery, versionsOfAdapter } from './adapter-queries.ts';
import { CurrentVersions } from './current-versions.tsx';
import { gateInWords } from './gate-in-words.ts';
import { MetricOverVersions } from './metric-over-versions.tsx';
import { Versions } from './versions.tsx';

/** Page of an adapter: its current version on each base, all its versions, and their metrics. */
export default function AdapterPage() {
  const { adapterId: id } = useParams({ from: '/shell/adapters/$adapterId' });
  const query = useQuery(adapterQuery(id));
  return (
    <Loaded query={query} what="the adapter">
      {(adapter) => <Shown adapter={adapter} />}
    </Loaded>
  );
}

function Shown({ adapter }: { adapter: Adapter }) {
  const { id, name, metric, gate, approval, dataset_id: datasetId, pinned_base_model_version_id: pin } = adapter;
  const { data: dataset } = useQuery(datasetQuery(datasetId));
  const promptsOnly = dataset?.prompts_only ?? false;
  return (
    <>
      <PageHeader
        title={name}
        description={`An adapter of ${adapter.base_model_name}.`}
        parents={[{ label: 'Adapters', to: '/adapters' }]}
        json={[`/v1/adapters/${id}`, `/v1/adapters/${id}/versions`]}
      />
      <Facts
        facts={{
          Identifier: <Identifier value={id} />,
          Tenant: <TenantName id={adapter.tenant_id} />,
          Gate: gateInWords(gate, metric, promptsOnly),
          Dataset: datasetId === null ? 'none: its jobs fail until it has one' : <Identifier value={datasetId} />,
          'Its rows': promptsOnly ? 'prompts alone, which the old version answers' : null,
          Labels: <Labels labels={adapter.labels} />,
          'Pinned to': pin === null ? null : <BaseVersionLink id={pin} />,
          Approval: approval === 'tenant' ? 'each of its jobs waits until its tenant approves it' : null,
          Registered: <Time value={adapter.created_at} both />,
        }}
      />
      <Box mt="5">
        <CurrentVersions adapter={adapter} />
        <History adapter={adapter} />
      </Box>
    </>
  );
}

function History({ adapter }: { adapter: Adapter }) {
  const { id, latest_version: latest, metric } = adapter;
  const versionsOf = useMemo(() => versionsOfAdapter(id), [id]);
  const { query, table } = useEndless(versionsOf);
  useInvalidateOn(latest?.id ?? null, versionsOf.queryKey);
  return (
    <Section title="Versions">
      <Loaded query={query} what="the versions">
        {(versions) => (
          <>
            <MetricOverVersions versions={versions} metric={metric} />
            <Versions versions={versions} latestId={latest?.id ?? null} table={table} />
          </>
        )}
      </Loaded>
    </Section>
  );
}
