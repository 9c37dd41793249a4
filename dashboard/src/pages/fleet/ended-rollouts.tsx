import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { count, duration, UNKNOWN } from '../../lib/format.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { PlainTable } from '../../parts/table/plain-table.tsx';
import { RolloutBadge } from '../../parts/values/rollout-badge.tsx';
import { Time } from '../../parts/values/time.tsx';
import { endedQuery } from './fleet-queries.ts';

const COLUMNS = [
  'Rollout',
  'State',
  'Ready',
  'Not ready or failed',
  'Median time to readiness',
  'Median speed-up',
  'Ended',
];

/** Table of the last rollouts that ended and their outcomes. */
export function EndedRollouts() {
  const query = useQuery(endedQuery);
  return (
    <Section title="Last rollouts">
      <Loaded query={query} what="the last rollouts">
        {({ data }) => (data.length === 0 ? <Empty title="No rollout has ended yet." /> : <Ended rollouts={data} />)}
      </Loaded>
    </Section>
  );
}

function Ended({ rollouts }: { rollouts: readonly Rollout[] }) {
  return (
    <PlainTable label="Last rollouts" columns={COLUMNS}>
      {rollouts.map((rollout) => (
        <EndedRollout key={rollout.id} rollout={rollout} />
      ))}
    </PlainTable>
  );
}

function EndedRollout({ rollout }: { rollout: Rollout }) {
  const { ready, not_ready: notReady, failed, median_ttr_ms: ttr, median_speedup: speedup } = rollout.summary;
  return (
    <tr>
      <td>
        <Link to="/rollouts/$rolloutId" params={{ rolloutId: rollout.id }} className="plain-link">
          {rollout.base_model_name} to version {rollout.version}
        </Link>
      </td>
      <td>
        <RolloutBadge rollout={rollout} />
      </td>
      <td className="end">{count(ready)}</td>
      <td className="end">{count(notReady + failed)}</td>
      <td className="end">{duration(ttr)}</td>
      <td className="end">{speedup === null ? UNKNOWN : `${speedup.toFixed(1)} × sooner than from scratch`}</td>
      <td>
        <Time value={rollout.finished_at} />
      </td>
    </tr>
  );
}
