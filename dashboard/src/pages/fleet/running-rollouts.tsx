import { Card, Flex, Heading, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Rollout } from '@readapt/client';
import { counted, duration } from '../../lib/format.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { StateBar } from '../../parts/values/state-bar.tsx';
import { Time } from '../../parts/values/time.tsx';
import { runningQuery } from './fleet-queries.ts';

export function RunningRollouts() {
  const query = useQuery(runningQuery);
  return (
    <Section
      title="Running rollouts"
      aside={
        <Link to="/rollouts" className="plain-link">
          All rollouts
        </Link>
      }
    >
      <Loaded query={query} what="the running rollouts">
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="No rollout is running.">
              One begins when a new version of a base model is registered, or by hand.
            </Empty>
          ) : (
            data.map((rollout) => <RunningRollout key={rollout.id} rollout={rollout} />)
          )
        }
      </Loaded>
    </Section>
  );
}

function RunningRollout({ rollout }: { rollout: Rollout }) {
  const { id, state, jobs, controls, summary } = rollout;
  const hasControls = Object.keys(controls).length > 0;
  return (
    <Card size="2">
      <Flex direction="column" gap="3">
        <Flex align="center" justify="between" gap="3" wrap="wrap">
          <Heading as="h3" size="3" className="any-text">
            <Link to="/rollouts/$rolloutId" params={{ rolloutId: id }} className="plain-link">
              {rollout.base_model_name} to version {rollout.version}
            </Link>
          </Heading>
          <StateBadge state={state} />
        </Flex>
        <StateBar counts={jobs} of="jobs" />
        {hasControls && (
          <div>
            <Text size="2">Controls, trained from scratch for comparison</Text>
            <StateBar counts={controls} of="controls" />
          </div>
        )}
        <Text size="2" color="gray">
          Accepted <Time value={rollout.accepted_at} />, {counted(summary.adapters, 'adapter')}
          {summary.median_ttr_ms !== null && `, half of the ready ones within ${duration(summary.median_ttr_ms)}`}
          <Waves waves={rollout.waves} />
        </Text>
      </Flex>
    </Card>
  );
}

function Waves({ waves }: Pick<Rollout, 'waves'>) {
  if (waves === null || waves.total < 2) return null;
  const { released, total, awaiting_approval: waits } = waves;
  return (
    <>
      , wave {released} of {total} is released{waits && ', and the next one waits for an approval'}
    </>
  );
}
