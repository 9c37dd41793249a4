import { Badge, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { getAdapter, getAdapterVersion, type Adapter, type AdapterVersion, type Job } from '@readapt/client';
import { client } from '../../../api/client.ts';
import { decimal, UNKNOWN } from '../../../lib/format.ts';
import { Empty, Loaded } from '../../../parts/feedback/loaded.tsx';
import { Section } from '../../../parts/layout/section.tsx';
import { Facts, Identifier } from '../../../parts/values/facts.tsx';
import { Time } from '../../../parts/values/time.tsx';
import { metricValue } from '../../../lib/metric-words.ts';
import { NegativeFlips } from './negative-flips.tsx';

interface Publication {
  readonly version: AdapterVersion;
  readonly adapter: Adapter;
}

/** Version that the job has published, with where it is served and its negative flips. */
export function JobOutcome({ job }: { job: Job }) {
  if (job.published_version_id === null) return <NothingPublished job={job} />;
  return <Published job={job} versionId={job.published_version_id} />;
}

function NothingPublished({ job }: { job: Job }) {
  const title = job.kind === 'control' ? 'A control publishes nothing.' : 'Nothing is published.';
  return (
    <Section title="What is published">
      <Empty title={title}>
        {job.kind === 'control'
          ? 'It trains the same adapter from scratch, so that the speed-up is measured.'
          : 'The old version of the adapter stays what it was. ' +
            'A version appears here when a candidate passes the gate.'}
      </Empty>
    </Section>
  );
}

function Published({ job, versionId }: { job: Job; versionId: string }) {
  const query = useQuery({
    queryKey: ['jobs', job.id, 'published', versionId],
    queryFn: async ({ signal }): Promise<Publication> => {
      const [version, adapter] = await Promise.all([
        getAdapterVersion({ client, path: { id: job.adapter_id, version_id: versionId }, signal }),
        getAdapter({ client, path: { id: job.adapter_id }, signal }),
      ]);
      return { version, adapter };
    },
    staleTime: 10_000,
  });
  return (
    <>
      <Section title="What is published">
        <Loaded query={query} what="the published version">
          {({ version, adapter }) => <Version job={job} version={version} adapter={adapter} />}
        </Loaded>
      </Section>
      <NegativeFlips adapterId={job.adapter_id} versionId={versionId} version={query.data?.version} />
    </>
  );
}

function Version({ job, version, adapter }: Publication & { job: Job }) {
  const current = adapter.current.find(({ base_model_version_id: base }) => base === version.base_model_version_id);
  const isCurrent = current?.version_id === version.id;
  const { none, copy, old } = job.metric;
  return (
    <Facts
      facts={{
        Adapter: (
          <Link to="/adapters/$adapterId" params={{ adapterId: adapter.id }} className="plain-link">
            {adapter.name}, version {version.number}
          </Link>
        ),
        'For base model version': (
          <Link
            to="/base-model-versions/$versionId"
            params={{ versionId: version.base_model_version_id }}
            className="plain-link"
          >
            {adapter.base_model_name}
          </Link>
        ),
        'Served there': isCurrent ? (
          <Badge color="green" highContrast>
            current
          </Badge>
        ) : (
          <Text>
            {current?.number === null || current === undefined ? 'no version' : `version ${current.number}`} is current
            there, not this one
          </Text>
        ),
        'Made by': `strategy ${version.strategy ?? UNKNOWN}${coefficientsOf(version)}`,
        'Value on the gate rows': `${metricValue(version.gate_value)}, the old version has ${metricValue(old)}`,
        'Without adapter, and the old one unchanged':
          none === null && copy === null ? null : `${metricValue(none)}, and ${metricValue(copy)}`,
        Rank: version.rank,
        Published: <Time value={version.created_at} both />,
        Digest: <Identifier value={version.digest} what="the digest" />,
      }}
    />
  );
}

function coefficientsOf({ fusion_alpha: alpha, fusion_beta: beta }: AdapterVersion): string {
  return alpha === null || beta === null ? '' : `, α ${decimal(alpha, 2)}, β ${decimal(beta, 2)}`;
}
