import { Flex } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { getRollout, type Job } from '@readapt/client';
import { useMemo } from 'react';
import { client } from '../../api/client.ts';
import { useInvalidateOn } from '../../api/polling.ts';
import { statusOf } from '../../api/problem.ts';
import { useViewer } from '../../api/viewer.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { Identifier } from '../../parts/values/facts.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { JobAccount } from './account/account.tsx';
import { Curves } from './curves/curves.tsx';
import { Events } from './events/events.tsx';
import { Figures } from './figures.tsx';
import './job.css';
import { jobKey, jobQuery, pathsOf } from './job-queries.ts';
import { Ladder } from './ladder/ladder.tsx';
import { JobOutcome } from './outcome/outcome.tsx';
import { Search } from './search/search.tsx';
import { PhaseSum, Phases } from './time/phases.tsx';
import { Timeline } from './time/timeline.tsx';
import { Verbs } from './verbs/verbs.tsx';

/** Page of a job: its times, the ladder of candidates, the search, the training curves, and the outcome. */
export default function JobPage() {
  const { jobId } = useParams({ from: '/shell/jobs/$jobId' });
  const query = useQuery(jobQuery(jobId));
  if (query.data === undefined && statusOf(query.error) === 404) return <NoSuchJob />;
  return (
    <Loaded query={query} what="the job" height={400}>
      {/* The key remounts everything for another job, so that no state of this one is shown for it. */}
      {(job) => <JobView key={jobId} job={job} />}
    </Loaded>
  );
}

function JobView({ job }: { job: Job }) {
  const key = useMemo(() => jobKey(job.id), [job.id]);
  useInvalidateOn(job.finished_at, key);
  return (
    <>
      <Header job={job} />
      <JobAccount job={job} />
      <Figures job={job} />
      <Section title="Where the time went">
        <PhaseSum job={job} />
        <Phases job={job} />
        <Timeline job={job} />
      </Section>
      <Ladder job={job} />
      <Search job={job} />
      <Curves job={job} />
      <JobOutcome job={job} />
      <Events job={job} />
    </>
  );
}

function Header({ job }: { job: Job }) {
  const { writes } = useViewer();
  const rollout = useRolloutOf(job);
  const to = rollout === undefined ? 'its rollout' : `${rollout.base_model_name} to version ${rollout.version}`;
  return (
    <PageHeader
      title={job.kind === 'control' ? `${job.adapter_name}, control` : job.adapter_name}
      badge={<StateBadge state={job.state} size="3" />}
      parents={[
        { label: 'Rollouts', to: '/rollouts' },
        { label: to, to: `/rollouts/${job.rollout_id}` },
      ]}
      description={
        <>
          <Purpose job={job} to={to} /> <Identifier value={job.id} what="the identifier of the job" />
        </>
      }
      json={pathsOf(job.id)}
    >
      {writes && <Verbs job={job} />}
    </PageHeader>
  );
}

/** Writes a sentence that says what the job is for. */
function Purpose({ job, to }: { job: Job; to: string }) {
  if (job.kind === 'control') {
    return <>Trains the adapter from scratch for {to}, so that the speed-up is measured. It publishes nothing.</>;
  }
  return (
    <>
      Carries{' '}
      <Link to="/adapters/$adapterId" params={{ adapterId: job.adapter_id }} className="plain-link">
        {job.adapter_name}
      </Link>{' '}
      over in the rollout of {to}.
    </>
  );
}

/** Reads the job's rollout, because the page shows its name. The page does not wait for the answer. */
function useRolloutOf({ rollout_id: id }: Job) {
  const { data } = useQuery({
    queryKey: ['rollouts', id],
    queryFn: ({ signal }) => getRollout({ client, path: { id }, signal }),
    staleTime: 60_000,
  });
  return data;
}

function NoSuchJob() {
  const { isOperator } = useViewer();
  return (
    <>
      <PageHeader title="No such job" json={[]} />
      <Empty title="There is no job at this address that your key may see.">
        <Flex direction="column" gap="2">
          {isOperator
            ? 'Check the address. The job, or the tenant that it belonged to, may have been deleted.'
            : 'Check the address. The job may belong to another tenant, or may have been deleted.'}
          <Link to="/jobs" className="plain-link">
            All jobs
          </Link>
        </Flex>
      </Empty>
    </>
  );
}
