import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { useMemo } from 'react';
import { useInvalidateOn } from '../../api/polling.ts';
import { useViewer } from '../../api/viewer.ts';
import { counted } from '../../lib/format.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { RolloutBadge } from '../../parts/values/rollout-badge.tsx';
import { Time } from '../../parts/values/time.tsx';
import { RolloutAccount } from './account.tsx';
import { BaseChange } from './base-change.tsx';
import { Forecast } from './forecast.tsx';
import { JobsSection } from './jobs/jobs-section.tsx';
import { Progress } from './progress.tsx';
import { Readiness } from './readiness/readiness.tsx';
import { rolloutKey, rolloutQuery } from './rollout-queries.ts';
import { RolloutVerbs } from './rollout-verbs.tsx';

/** Page of a rollout: its progress, what needs attention, the times to readiness, and its jobs. */
export default function RolloutPage() {
  const { rolloutId } = useParams({ from: '/shell/rollouts/$rolloutId' });
  const rollout = useQuery(rolloutQuery(rolloutId));
  return (
    <Loaded query={rollout} what="the rollout" height={400}>
      {(data) => <LoadedRollout key={data.id} rollout={data} />}
    </Loaded>
  );
}

function LoadedRollout({ rollout }: { rollout: Rollout }) {
  const { isOperator, operates } = useViewer();
  const key = useMemo(() => rolloutKey(rollout.id), [rollout.id]);
  useInvalidateOn(rollout.finished_at, key);
  return (
    <>
      <PageHeader
        title={`${rollout.base_model_name} to version ${rollout.version}`}
        badge={<RolloutBadge rollout={rollout} size="3" />}
        description={<Summary rollout={rollout} />}
        parents={[{ label: 'Rollouts', to: '/rollouts' }]}
        json={pathsOf(rollout.id, isOperator)}
      >
        {operates && <RolloutVerbs rollout={rollout} />}
      </PageHeader>
      <RolloutAccount rollout={rollout} />
      <Progress rollout={rollout} />
      <Readiness rollout={rollout} />
      {isOperator && <Forecast rollout={rollout} />}
      <JobsSection rollout={rollout} />
      <BaseChange rollout={rollout} />
    </>
  );
}

function Summary({ rollout }: { rollout: Rollout }) {
  const { accepted_at: accepted, finished_at: finished, summary } = rollout;
  return (
    <>
      {counted(summary.adapters, 'adapter')}, accepted <Time value={accepted} both />
      {finished !== null && (
        <>
          , ended <Time value={finished} both />
        </>
      )}
    </>
  );
}

function pathsOf(id: string, isOperator: boolean): string[] {
  const path = `/v1/rollouts/${id}`;
  const all = [path, `${path}/ttr-distribution`, `${path}/report`];
  return [...all, ...(isOperator ? [`${path}/forecast`] : []), `/v1/jobs?rollout_id=${id}&limit=200`];
}
