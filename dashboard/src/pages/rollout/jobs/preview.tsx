import { Box, Text } from '@radix-ui/themes';
import type { ChangedRolloutJobs } from '@readapt/client';
import { count, counted } from '../../../lib/format.ts';
import { ProblemCallout } from '../../../parts/feedback/problem-callout.tsx';
import { ACTIONS, type Action } from './change-of-many.ts';

const LEFT: Readonly<Record<string, string>> = {
  job_ended: 'they have ended',
  job_ready: 'they are ready and only refined',
  rollout_paused: 'their rollout is paused',
  rollout_ended: 'their rollout has ended',
  quota_exceeded: 'a quota of their tenant is reached',
  superseded: 'a rollout to a newer version has taken them over',
  already_carried_over: 'their adapters were carried over meanwhile',
  adapter_pinned: 'their adapters are pinned to another version',
  source_deleted: 'the versions that they start from were deleted',
};

interface PreviewProps {
  readonly query: {
    readonly data: ChangedRolloutJobs | undefined;
    readonly error: unknown;
    readonly refetch: () => unknown;
  };
  readonly action: Action;
}

/** Preview of a change of many jobs: how many would change and how many would not, as counted by the service. */
export function Preview({ query: { data, error, refetch }, action }: PreviewProps) {
  if (error !== null) return <ProblemCallout error={error} retry={refetch} />;
  return (
    <Box role="status" className="preview">
      {data === undefined ? <Text as="p">Asking how many that are …</Text> : <Counts data={data} action={action} />}
    </Box>
  );
}

function Counts({ data: { matched, changed, left }, action }: { data: ChangedRolloutJobs; action: Action }) {
  const { verb, applies } = ACTIONS[action];
  if (matched === 0) return <Text as="p">No job meets the filter: none of them {applies}.</Text>;
  return (
    <>
      <Text as="p" weight="bold">
        {verb} {counted(changed, 'job')}
      </Text>
      <Text as="p" size="2">
        Jobs of the filter that {applies}: {count(matched)}.
      </Text>
      {left.map(({ code, jobs }) => (
        <Text as="p" size="2" key={code}>
          Left as they are, because {LEFT[code] ?? code.replaceAll('_', ' ')}: {count(jobs)}.
        </Text>
      ))}
    </>
  );
}
